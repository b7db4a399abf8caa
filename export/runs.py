"""A training run: what it was asked for, and the folder that it leaves (`run.json`, `checkpoint.pt`, …)."""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_res.bundle import write_whole
from edge_res.errors import ConfigError, DataError
from edge_res.export import data as datasets
from edge_res.export.nets import ResNet, ResNetShape
from edge_res.frontend import FrontEndParams

ARCHITECTURES = {f"resnet{depth}": depth for depth in (8, 14, 20, 32, 44, 56, 110)}


@dataclass(frozen=True)
class TrainSettings:
    """What a run was asked for. Times are in frames or samples; see `FrontEndParams` for the spectrogram's fields."""

    arch: str = "resnet8"
    labels: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    frames: int = 136
    hop: int = 8
    epochs: int = 40
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: float = 0.08
    label_smoothing: float = 0.1
    ema: float = 0.995
    clip_norm: float = 5.0
    seed: int = 0
    threads: int = 1
    group_pattern: str = datasets.SPEAKER_PATTERN


@dataclass(frozen=True)
class Run:
    """A finished run: everything that the export needs."""

    settings: TrainSettings
    front_end: FrontEndParams
    labels: tuple[str, ...]
    model: ResNet
    data: str  # where its data was; not for the bundle
    training: dict[str, Any]
    metrics: dict[str, Any]


def speech_front_end() -> FrontEndParams:
    """16 kHz speech: 30 ms Hann every 10 ms, 40 mel bands; not normalised yet."""
    return FrontEndParams(
        kind="log-mel",
        sample_rate_hz=16000,
        channels=1,
        n_fft=512,
        win_length=480,
        hop_length=160,
        low_hz=20.0,
        high_hz=7600.0,
        log_floor=1e-6,
        bins=40,
        mean=(0.0,) * 40,
        gain=(1.0,) * 40,
    )


def shape_of(settings: TrainSettings, params: FrontEndParams, labels: int) -> ResNetShape:
    """The network's shape; a window that does not fit it is refused with the nearest that do."""
    if settings.arch not in ARCHITECTURES:
        raise ConfigError(f"There is no architecture {settings.arch!r}; known are {', '.join(ARCHITECTURES)}.")
    shape = ResNetShape(ARCHITECTURES[settings.arch], params.bins, params.channels, labels, settings.frames)
    field, stride = shape.receptive_field, shape.time_stride

    def fits(frames: int) -> bool:
        return frames >= field and (frames - field) % stride == 0 and frames % settings.hop == 0

    if settings.hop % stride:
        raise ConfigError(
            f"A hop of {settings.hop} frames is not a multiple of {settings.arch}'s time stride of {stride}."
        )
    if not fits(settings.frames):
        nearest = sorted(
            filter(fits, range(1, 4 * settings.frames + 4 * field)), key=lambda n: abs(n - settings.frames)
        )
        raise ConfigError(
            f"A window of {settings.frames} frames does not fit {settings.arch} (receptive field {field}, time stride "
            f"{stride}, hop {settings.hop}); the nearest that fit are {sorted(nearest[:2])}."
        )
    return shape


def load_data(data: Path, words: tuple[str, ...], rate_hz: int, settings: TrainSettings) -> datasets.DataSet:
    """The data set as a run's settings want it, the same for training and export."""
    return datasets.load(data, words, rate_hz, settings.sets, settings.seed, group_pattern=settings.group_pattern)


def describe(loaded: datasets.DataSet, settings: TrainSettings) -> dict[str, Any]:
    """Where the model comes from, for the bundle."""
    return {
        "manifest_sha256": loaded.manifest_sha256,
        "sets": list(settings.sets),
        "split_sha256": hashlib.sha256(datasets.split_csv(loaded).encode()).hexdigest(),
        "clips": {split: len(loaded.of(split)[0]) for split in datasets.SPLITS},
        "groups": {split: len({c.entry.group for c in loaded.of(split)[0]}) for split in datasets.SPLITS},
        "left_out": list(loaded.left_out),
        "settings": asdict(settings),
    }


def write_run(out: Path, run: Run, split: str) -> None:
    """Write the run folder, each file whole."""
    out.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    torch.save(run.model.state_dict(), packed)
    body = {
        "settings": asdict(run.settings),
        "front_end": run.front_end.to_dict(),
        "labels": run.labels,
        "data": run.data,
        "training": run.training,
    }
    write_whole(out / "split.csv", split.encode())
    write_whole(out / "checkpoint.pt", packed.getvalue())
    write_whole(out / "metrics.json", json.dumps(run.metrics, indent=1).encode())
    write_whole(out / "run.json", json.dumps(body, indent=1).encode())


def read_run(out: Path) -> Run:
    """Read what `write_run` wrote; a folder that is not a finished run is a `DataError`."""
    try:
        body = json.loads((out / "run.json").read_bytes())
        metrics = json.loads((out / "metrics.json").read_bytes())
        weights = torch.load(io.BytesIO((out / "checkpoint.pt").read_bytes()), weights_only=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{out} is not the folder of a finished training run: {error}") from None
    fields = body["settings"]
    settings = TrainSettings(**{**fields, "labels": tuple(fields["labels"]), "sets": tuple(fields["sets"])})
    params = FrontEndParams.from_dict(body["front_end"])
    labels = tuple(body["labels"])
    model = ResNet(shape_of(settings, params, len(labels)))
    model.load_state_dict(weights)
    return Run(settings, params, labels, model.eval(), body["data"], body["training"], metrics)


def measure(logits: NDArray[np.float32], targets: NDArray[np.int64], labels: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy, its 95 % interval (Wilson 1927), and accuracy per label."""
    right = logits.argmax(1) == targets
    n, p, z = len(right), float(right.mean()), 1.96
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    per_label = {
        label: round(float(right[targets == i].mean()), 4) for i, label in enumerate(labels) if (targets == i).any()
    }
    return {
        "accuracy": round(p, 4),
        "interval": [round(centre - half, 4), round(centre + half, 4)],
        "n": n,
        "per_label": per_label,
    }
