"""The folder of a training run: its settings (`run.json`), weights, metrics and, while it runs, its state.

`state.pt` exists until a run is finished. It holds everything that the next epoch depends on, so a run that was killed
resumes and ends with the same weights.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edge_res.clips.recordings import summarize_left_out
from edge_res.clips.splits import SPLITS
from edge_res.config import from_mapping
from edge_res.errors import ConfigError, DataError, OutputError
from edge_res.export.datasets import dataset
from edge_res.export.datasets.dataset import DataSet
from edge_res.export.nets import architectures
from edge_res.export.training.settings import TrainSettings
from edge_res.signal.frontend import FrontEndParams
from edge_res.writing import replace_file

STATE = "state.pt"


@dataclass(frozen=True)
class Run:
    """A finished run: everything that the export needs."""

    settings: TrainSettings
    front_end: FrontEndParams
    labels: tuple[str, ...]
    model: nn.Module
    data: str  # the path of its data, which never goes into the bundle
    training: dict[str, Any]
    metrics: dict[str, Any]


def network_of(settings: TrainSettings, params: FrontEndParams, labels: int) -> architectures.Network:
    """The network of a run; raises `ConfigError`, with the nearest that fit, for a window or hop that does not fit."""
    net = settings.net
    network = architectures.network(
        net.arch,
        settings.frames,
        params.bins,
        params.channels,
        labels,
        net.time_padding,
        widths=net.widths,
        stem_strides=net.stem_strides,
        stage_strides=net.stage_strides,
    )
    field, stride = network.receptive_field, network.time_stride
    if net.time_padding == "same":
        stride = 1

    def fits(frames: int) -> bool:
        return frames >= field and (frames - field) % stride == 0 and frames % settings.hop == 0

    if settings.hop % stride:
        raise ConfigError(f"A hop of {settings.hop} frames is not a multiple of {net.arch}'s time stride of {stride}.")
    if not fits(settings.frames):
        candidates = filter(fits, range(1, 4 * settings.frames + 4 * field))
        nearest = sorted(candidates, key=lambda n: abs(n - settings.frames))[:2]
        raise ConfigError(
            f"A window of {settings.frames} frames does not fit {net.arch} (receptive field {field}, time stride "
            f"{stride}, hop {settings.hop}); the nearest that fit are {sorted(nearest)}."
        )
    return network


def load_data(data: Path, words: tuple[str, ...], settings: TrainSettings) -> DataSet:
    """The data set that a run's settings ask for, the same for training and export."""
    spectrogram = settings.front_end
    return dataset.load(
        data, words, spectrogram.sample_rate_hz, spectrogram.channels, settings.sets, settings.seed, settings.splits
    )


def describe(loaded: DataSet, settings: TrainSettings) -> dict[str, Any]:
    """How the model was trained, for the bundle; without paths of this machine."""
    asked = settings.to_dict()
    asked["teacher"] = Path(settings.teacher).name
    return {
        "manifest_sha256": loaded.manifest_sha256,
        "sets": list(settings.sets),
        "split_sha256": split_sha256(loaded),
        "same_session": list(loaded.same_session),
        "clips": {split: len(loaded.of(split)[0]) for split in SPLITS},
        "groups": {split: len({c.entry.group for c in loaded.of(split)[0]}) for split in SPLITS},
        "left_out": summarize_left_out(loaded.left_out),
        "notes": list(loaded.notes),
        "settings": asked,
    }


def split_sha256(loaded: DataSet) -> str:
    return hashlib.sha256(dataset.split_csv(loaded).encode()).hexdigest()


def write_torch(path: Path, content: Any) -> None:
    """Write a file with `torch.save`, whole or not at all; raises `DataError`."""
    packed = io.BytesIO()
    torch.save(content, packed)
    write_file(path, packed.getvalue())


def write_file(path: Path, content: bytes) -> None:
    """Write a file of a run, whole or not at all; raises `DataError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder {path.parent} cannot be created: {error.strerror}; name another.") from None
    try:
        replace_file(path, content, hint="the file from before is intact; make room and continue with --resume")
    except OutputError as error:
        raise DataError(str(error)) from None


def write_run(out: Path, run: Run, loaded: DataSet) -> None:
    """Write the run folder; `run.json` comes last and marks the run as finished."""
    body = {
        "settings": run.settings.to_dict(),
        "front_end": run.front_end.to_dict(),
        "labels": run.labels,
        "data": run.data,
        "training": run.training,
    }
    write_file(out / "split.csv", dataset.split_csv(loaded).encode())
    write_file(out / "left-out.csv", dataset.left_out_csv(loaded.left_out).encode())
    write_torch(out / "checkpoint.pt", run.model.state_dict())
    write_file(out / "metrics.json", json.dumps(run.metrics, indent=1).encode())
    write_file(out / "run.json", json.dumps(body, indent=1).encode())


def read_run(out: Path) -> Run:
    """Read what `write_run` wrote; raises `DataError` if the folder is not a finished run."""
    if (out / STATE).exists() and not (out / "run.json").exists():
        raise DataError(f"The training in {out} is not finished; `edgeres train … --out {out} --resume` continues it.")
    try:
        body = json.loads((out / "run.json").read_bytes())
        metrics = json.loads((out / "metrics.json").read_bytes())
        weights = torch.load(io.BytesIO((out / "checkpoint.pt").read_bytes()), weights_only=True, map_location="cpu")
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise DataError(f"{out} is not the folder of a finished training run: {error}") from None
    settings: TrainSettings = from_mapping(TrainSettings, body["settings"], f"The run {out}")
    params = FrontEndParams.from_dict(body["front_end"])
    labels = tuple(body["labels"])
    model = network_of(settings, params, len(labels)).build()
    model.load_state_dict(weights)
    return Run(settings, params, labels, model.eval(), body["data"], body["training"], metrics)
