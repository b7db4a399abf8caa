"""A training run to a bundle: quantize, emit, verify, tune, write."""

from __future__ import annotations

import importlib.metadata
import io
import platform
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_res import __version__
from edge_res.bundle import GOLDEN, Bundle, DecideParams, Manifest, pack_golden, write_bundle
from edge_res.engines import Runner, load_engine
from edge_res.errors import DataError, ExportError
from edge_res.export import data as datasets
from edge_res.export import graph as graphs
from edge_res.export import onnx_writer, tflite_writer
from edge_res.export.augment import Scene
from edge_res.export.quantize import quantize
from edge_res.export.runs import Run, describe, load_data, measure, read_run
from edge_res.export.training import predict
from edge_res.export.tuning import make_stream, score_stream, tune
from edge_res.export.windows import Windows, training_examples, validation_examples
from edge_res.flow import Frames
from edge_res.models import WindowModel, load_window_runner
from edge_res.models import quantize as quantize_frames

CALIBRATION_WINDOWS = 512
GOLDEN_WINDOWS = 16
PARITY_ENGINES = ("litert", "onnxruntime")


def export(run_folder: Path, data: Path, out: Path, name: str, say: Callable[[str], None]) -> Bundle:
    """Write the bundle of a run, after all checks have passed; else raise `ExportError` and write nothing."""
    run = read_run(run_folder)
    loaded = load_data(data, words_of(run), run.front_end.sample_rate_hz, run.settings)
    if describe(loaded, run.settings)["split_sha256"] != run.training["split_sha256"]:
        raise DataError(f"{data} is not the data that {run_folder} was trained on; its clips or their split differ.")
    say("quantizing")
    graph = quantize(to_onnx(run), windows_of(run, loaded, "train", CALIBRATION_WINDOWS)[0])
    members = {"window.onnx": onnx_writer.write(graph), "window.tflite": tflite_writer.write(graph)}
    background = tuple(label for label in (datasets.SILENCE, datasets.UNKNOWN) if label in run.labels)
    untuned = DecideParams(dict.fromkeys([label for label in run.labels if label not in background], 0.5))
    draft = Bundle(
        Manifest(name, run.labels, background, run.front_end, run.settings.frames, run.settings.hop, 0.0, untuned),
        members,
    )

    say("checking the engines against each other and against float")
    frames, targets = windows_of(run, loaded, "validation", None)
    runners = {engine: load_window_runner(draft, load_engine(engine), 1) for engine in PARITY_ENGINES}
    integers, logits = check_parity(runners, graph, frames)
    float_metrics = measure(
        predict(run.model, torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())), targets, run.labels
    )
    int8_metrics = measure(logits.astype(np.float32), targets, run.labels)

    say("tuning thresholds on a stream of validation words")
    clips, noise = loaded.of("validation")
    samples, said = make_stream(run.settings.seed, run.front_end.sample_rate_hz, clips, noise)
    model = WindowModel(runners["litert"], run.settings.frames, run.settings.hop)
    tuned = tune(score_stream(run.front_end, run.settings.hop, model, samples), said, run.labels, background)
    stream = {k: v for k, v in asdict(tuned).items() if k not in ("decide", "delay_s")}
    manifest = Manifest(
        name=name,
        labels=run.labels,
        background=background,
        front_end=run.front_end,
        frames=run.settings.frames,
        hop=run.settings.hop,
        delay_s=tuned.delay_s,
        decide=tuned.decide,
        training=run.training,
        metrics={"validation_int8": int8_metrics, "validation_float": float_metrics, "validation_stream": stream},
        tools=versions(),
    )
    golden = pack_golden(integers[:GOLDEN_WINDOWS], logits[:GOLDEN_WINDOWS])
    bundle = Bundle(manifest, {**members, GOLDEN: golden})
    write_bundle(out, bundle)
    return bundle


def words_of(run: Run) -> tuple[str, ...]:
    """The labels that clips are looked up for: all but the background's."""
    return tuple(label for label in run.labels if label not in (datasets.SILENCE, datasets.UNKNOWN))


def windows_of(
    run: Run, loaded: datasets.DataSet, split: datasets.Split, most: int | None
) -> tuple[Frames, NDArray[np.int64]]:
    """Windows of a split, `(n, frames, bins, channels)`, the ones of training's validation, and their labels."""
    clips, noise = loaded.of(split)
    scene = Scene(loaded.rate_hz, run.front_end.samples_of(run.settings.frames), speed=0.0)
    seed = run.settings.seed
    if split == "train":
        examples = training_examples(np.random.default_rng((seed, 4)), clips, run.labels)[:most]
        windows = Windows(examples, run.labels, clips, noise, scene, run.front_end, (seed, 4), masked=False)
    else:
        examples = validation_examples(clips, run.labels)[:most]
        windows = Windows(examples, run.labels, clips, noise, scene, run.front_end, (seed, 2), masked=False)
    frames = np.stack([windows.frames(i) for i in range(len(windows))])
    return frames, np.array([windows.labels[example.label] for example in examples])


def to_onnx(run: Run) -> bytes:
    """The float network as ONNX: `frames` `(1, channels, frames, bins)` to `logits` `(1, labels)`."""
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
    run.model.eval()  # the exporter puts it back into training mode
    return packed.getvalue()


def check_parity(
    runners: dict[str, Runner], graph: graphs.Graph, frames: Frames
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The windows and their logits as int8, the same in all engines and in the referee; else an `ExportError`."""
    integers = np.empty(frames.shape, np.int8)
    quantize_frames(frames, runners["litert"].inputs[0], integers)
    logits = {engine: run_all(runner, integers) for engine, runner in runners.items()}
    logits["interpreter"] = graphs.run(graph, integers[:GOLDEN_WINDOWS])
    first = logits.pop("litert")
    for engine, found in logits.items():
        different = int((found != first[: len(found)]).sum())
        if different:
            raise ExportError(
                f"The engines disagree: {different} of {found.size} logits of {engine} are not those of LiteRT; "
                "nothing was written."
            )
    return integers, first


def run_all(runner: Runner, integers: NDArray[np.int8]) -> NDArray[np.int8]:
    """Logits as int8 of windows as int8, whichever of int8 and uint8 the model takes."""
    shift = 128 if runner.inputs[0].dtype == np.uint8 else 0
    windows = (integers.astype(np.int16) + shift).astype(runner.inputs[0].dtype)
    logits = np.stack([runner.run(window[None])[0][0].copy() for window in windows])
    return (logits.astype(np.int16) - shift).astype(np.int8)


def versions() -> dict[str, str]:
    """What made the bundle."""
    packages = ("numpy", "torch", "onnx", "onnxruntime", "ai-edge-litert")
    found: dict[str, Any] = {name: importlib.metadata.version(name) for name in packages}
    return {"edge_res": __version__, "python": platform.python_version(), **found}
