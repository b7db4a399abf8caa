"""What a bundle is made from, and how to get it from a training run; `foreign.py` gets it from an ONNX file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_res.clips import shaping
from edge_res.clips.manifest import SILENCE, UNKNOWN
from edge_res.errors import DataError
from edge_res.export.bundling import int8_tuning
from edge_res.export.bundling.answers import float_logits
from edge_res.export.bundling.word_stream import WordStream, make_stream
from edge_res.export.datasets.augment import Scene
from edge_res.export.datasets.calibration import CALIBRATION_WINDOWS, frames_of_folder, windows_of
from edge_res.export.datasets.dataset import DataSet
from edge_res.export.datasets.windows import plain_windows, training_windows
from edge_res.export.int8.graph import Graph
from edge_res.export.training.runs import Run, load_data, read_run, split_sha256
from edge_res.flow import Frames
from edge_res.model.bundle import DecideParams
from edge_res.signal.frontend import FrontEndParams, compute_frames

_STREAM_S = 600  # at most, of the stream that modes and engines are compared on, if the clips are not words


@dataclass(frozen=True)
class Validation:
    """Windows `(n, frames, bins, channels)`, the indices of their labels, and their names."""

    frames: Frames
    targets: NDArray[np.int64]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """A network as ONNX, float or QDQ, and all that is needed to quantize, check and describe it.

    `calibration` holds windows `(n, frames, bins, channels)`. `stream` holds the frames `(n, bins, channels)` of a long
    recording, on which modes and engines are compared. If its words are known, `word_stream` is the same recording, and
    thresholds and delay are tuned on it; otherwise they are `decide` and `delay_s`. `tune` improves the quantized
    network if int8 costs more than `allowed_loss` of the accuracy on `validation`.
    """

    network: bytes
    labels: tuple[str, ...]
    background: tuple[str, ...]
    front_end: FrontEndParams
    hop: int
    calibration: Frames
    stream: Frames
    decide: DecideParams
    delay_s: float = 0.0
    word_stream: WordStream | None = None
    validation: Validation | None = None
    tune: Callable[[Graph], Graph] | None = None
    allowed_loss: float = 0.003
    training: Mapping[str, Any] = field(default_factory=dict)


def from_run(run_folder: Path, data: Path | None, calibration: Path | None = None) -> Material:
    """The material of a run folder; `data` must be what it was trained on, though it may have moved.

    `calibration` is a folder of recordings to use instead of the training windows.
    """
    run = read_run(run_folder)
    data = data or Path(run.data)
    params, settings = run.front_end, run.settings
    words = tuple(label for label in run.labels if label not in (SILENCE, UNKNOWN))
    loaded = load_data(data, words, settings)
    if split_sha256(loaded) != run.training["split_sha256"]:
        raise DataError(f"{data} is not the data that {run_folder} was trained on; the clips or their split differ.")
    clips, noise = loaded.of("validation")
    word_stream = None
    if settings.windows == "words":
        word_stream = make_stream(settings.seed, params.sample_rate_hz, clips, noise)
        samples = word_stream.samples
    else:
        samples = np.concatenate([clip.samples for clip in clips])[: _STREAM_S * params.sample_rate_hz]
        samples = shaping.repeated(samples, max(len(samples), params.samples_of(2 * settings.frames)))
    network = to_onnx(run)
    seed = (settings.seed, 4)
    return Material(
        network=network,
        labels=run.labels,
        background=tuple(label for label in run.labels if label not in words),
        front_end=params,
        hop=settings.hop,
        calibration=(
            plain_training_windows(run, loaded, seed, CALIBRATION_WINDOWS)
            if calibration is None
            else windows_of_clips(run, calibration)
        ),
        stream=compute_frames(params, samples, settings.hop),
        decide=DecideParams(dict.fromkeys(words, 0.6)),
        word_stream=word_stream,
        validation=validation_windows(run, loaded),
        training=run.training,
        tune=partial(tuned, run, loaded, network) if settings.int8_epochs else None,
        allowed_loss=settings.allowed_loss,
    )


def tuned(run: Run, loaded: DataSet, network: bytes, graph: Graph) -> Graph:
    """The run's quantized network, tuned on its training windows to answer as its float `network` does."""
    settings = run.settings

    def windows(epoch: int) -> Frames:
        return plain_training_windows(run, loaded, (settings.seed, 6, epoch))

    return int8_tuning.tune(graph, windows, partial(float_logits, network), settings.int8_epochs)


def scene_of(run: Run) -> Scene:
    """How the run's windows are made."""
    params = run.front_end
    samples = params.samples_of(run.settings.frames)
    return Scene(params.sample_rate_hz, samples, params.channels, run.settings.vary)


def plain_training_windows(run: Run, loaded: DataSet, seed: tuple[int, ...], most: int | None = None) -> Frames:
    """Training windows `(n, frames, bins, channels)`, varied as in training except for masks and warps."""
    windows = training_windows(loaded, run.labels, run.settings.windows, scene_of(run), run.front_end, seed)
    windows.varied = False
    return np.stack([windows.frames(i) for i in range(min(len(windows), most or len(windows)))])


def windows_of_clips(run: Run, folder: Path) -> Frames:
    """Windows `(n, frames, bins, channels)` of all recordings in a folder."""
    settings = run.settings
    return windows_of(frames_of_folder(folder, run.front_end, settings.hop), settings.frames, folder)


def validation_windows(run: Run, loaded: DataSet) -> Validation:
    """The windows that the training validated on."""
    settings, seed = run.settings, (run.settings.seed, 2)
    windows = plain_windows(loaded, "validation", run.labels, settings.windows, scene_of(run), run.front_end, seed)
    names = tuple(
        f"{example.label}:{example.clip.sha256[:16] if example.clip else i}"
        for i, example in enumerate(windows.examples)
    )
    return Validation(np.stack([windows.frames(i) for i in range(len(windows))]), windows.targets(), names)


def to_onnx(run: Run) -> bytes:
    """The float network of a run as ONNX: `frames` `(1, channels, frames, bins)` to `logits` `(1, labels)`."""
    example = torch.zeros(1, run.front_end.channels, run.settings.frames, run.front_end.bins)
    packed = io.BytesIO()
    run.model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter that folds batch normalisation
        torch.onnx.export(
            run.model,
            (example,),
            packed,  # type: ignore[arg-type]  # the classic exporter takes a file
            input_names=["frames"],
            output_names=["logits"],
            opset_version=17,
            dynamo=False,
        )
    run.model.eval()  # the exporter returns it in training mode
    return packed.getvalue()
