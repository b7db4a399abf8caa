"""Training: a data set in, a run folder out (`run.json`, `checkpoint.pt`, `split.csv`, `metrics.json`)."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_res.bundle import write_whole
from edge_res.errors import ConfigError, DataError
from edge_res.export import data as datasets
from edge_res.export.augment import Scene
from edge_res.export.nets import ResNet, ResNetShape
from edge_res.export.windows import Windows, training_examples, validation_examples
from edge_res.frontend import FrontEndParams

ARCHITECTURES = {"resnet8": 8, "resnet14": 14, "resnet20": 20}
_NORMALISATION_WINDOWS = 400


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
    training: dict[str, Any]
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """What is told after each batch, and with `accuracy` after each epoch."""

    done: int
    total: int
    epoch: int
    loss: float
    accuracy: float | None


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


def train(
    data: Path, out: Path, settings: TrainSettings, tell: Callable[[Progress], None], say: Callable[[str], None]
) -> Run:
    """Train on `data` and write the run folder `out`."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    params = speech_front_end()
    words = settings.labels or default_labels(data, settings)
    loaded = load_data(data, words, params.sample_rate_hz, settings)
    for sentence in loaded.left_out:
        say(f"left out: {sentence}")
    labels = (*words, *background_labels(loaded))
    shape = shape_of(settings, params, len(labels))
    scene = Scene(params.sample_rate_hz, params.samples_of(settings.frames))
    params = normalised(params, loaded, labels, scene, settings.seed)
    clips, noise = loaded.of("validation")
    validation = validation_set(
        Windows(
            validation_examples(clips, labels),
            labels,
            clips,
            noise,
            replace(scene, speed=0.0),
            params,
            (settings.seed, 2),
            masked=False,
        )
    )
    say(
        f"{len(loaded.of('train')[0])} clips to train on, {len(validation[1])} windows to validate on, "
        f"{len(labels)} labels"
    )

    model = ResNet(shape)
    averaged = copy.deepcopy(model).eval()
    clips, noise = loaded.of("train")
    steps = len(training_examples(np.random.default_rng(0), clips, labels)) // settings.batch * settings.epochs
    optimizer = torch.optim.AdamW(parameter_groups(model, settings.weight_decay), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step / steps, settings.warm_up))
    done = 0
    for epoch in range(settings.epochs):
        model.train()
        loss_sum = 0.0
        for batch, (images, targets) in enumerate(epoch_batches(settings, epoch, labels, loaded, scene, params), 1):
            loss = nn.functional.cross_entropy(model(images), targets, label_smoothing=settings.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            schedule.step()
            done += 1
            move_average(averaged, model, min(settings.ema, done / (done + 10)))
            loss_sum += float(loss.detach())
            tell(Progress(done, steps, epoch, loss_sum / batch, None))
        accuracy = float((predict(averaged, validation[0]).argmax(1) == validation[1]).mean())
        tell(Progress(done, steps, epoch, loss_sum / batch, accuracy))
    # The last average, not the best epoch: choosing by validation would flatter its accuracy.
    metrics = measure(predict(averaged, validation[0]), validation[1], labels)
    training = describe(loaded, settings)
    run = Run(settings, params, labels, averaged, training, metrics)
    write_run(out, run, datasets.split_csv(loaded))
    return run


def load_data(data: Path, words: tuple[str, ...], rate_hz: int, settings: TrainSettings) -> datasets.DataSet:
    """The data set as a run's settings want it, the same for training and export."""
    return datasets.load(data, words, rate_hz, settings.sets, settings.seed, group_pattern=settings.group_pattern)


def default_labels(data: Path, settings: TrainSettings) -> tuple[str, ...]:
    """All labels of the data but the background's."""
    entries, _ = datasets.read_entries(data, settings.sets, settings.group_pattern)
    return tuple(sorted({e.label for e in entries} - {datasets.NOISE, datasets.SILENCE, datasets.UNKNOWN}))


def background_labels(loaded: datasets.DataSet) -> tuple[str, ...]:
    """`_silence_` where there is background, `_unknown_` where there are other words."""
    silence = (datasets.SILENCE,) if loaded.noise else ()
    unknown = any(clip.entry.label == datasets.UNKNOWN for clip in loaded.clips)
    return (*silence, datasets.UNKNOWN) if unknown else silence


def normalised(
    params: FrontEndParams, loaded: datasets.DataSet, labels: tuple[str, ...], scene: Scene, seed: int
) -> FrontEndParams:
    """The front-end with the mean of each bin and one deviation for all, measured on training windows."""
    clips, noise = loaded.of("train")
    examples = training_examples(np.random.default_rng((seed, 0)), clips, labels)[:_NORMALISATION_WINDOWS]
    windows = Windows(examples, labels, clips, noise, scene, params, (seed, 0), masked=False)
    frames = np.stack([windows.frames(i) for i in range(len(windows))]).astype(np.float64)
    mean = frames.mean((0, 1, 3))
    gain = 1 / frames.std()
    return replace(params, mean=tuple(mean.round(4).tolist()), gain=(round(float(gain), 5),) * params.bins)


def validation_set(windows: Windows) -> tuple[Tensor, NDArray[np.int64]]:
    """All windows at once: images `(n, channels, frames, bins)` and the indices of their labels."""
    images, targets = zip(*(windows[i] for i in range(len(windows))), strict=True)
    return torch.stack(images), np.array(targets)


def epoch_batches(
    settings: TrainSettings,
    epoch: int,
    labels: tuple[str, ...],
    loaded: datasets.DataSet,
    scene: Scene,
    params: FrontEndParams,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of freshly made windows; one process makes them while the network learns."""
    clips, noise = loaded.of("train")
    examples = training_examples(np.random.default_rng((settings.seed, 1, epoch)), clips, labels)
    windows = Windows(examples, labels, clips, noise, scene, params, (settings.seed, 1, epoch), masked=True)
    return iter(torch.utils.data.DataLoader(windows, settings.batch, drop_last=True, num_workers=1))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on convolutions, none on biases and batch normalisation."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def warm_cosine(progress: float, warm_up: float) -> float:
    """Linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter 2017, eq. 5)."""
    if progress < warm_up:
        return progress / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - warm_up) / (1 - warm_up)))


@torch.no_grad()
def move_average(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    """Exponential moving average of the weights; running statistics are averaged likewise, counters copied."""
    for old, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)


@torch.no_grad()
def predict(model: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """Logits `(n, labels)` of many windows."""
    model.eval()
    logits: NDArray[np.float32] = torch.cat([model(part) for part in images.split(128)]).numpy()
    return logits


def measure(logits: NDArray[np.float32], targets: NDArray[np.int64], labels: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy, its 95 % interval (Wilson 1927), and accuracy per label."""
    right = logits.argmax(1) == targets
    n, p, z = len(right), float(right.mean()), 1.96
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    per_label = {label: round(float(right[targets == i].mean()), 4) for i, label in enumerate(labels)}
    return {
        "accuracy": round(p, 4),
        "interval": [round(centre - half, 4), round(centre + half, 4)],
        "n": n,
        "per_label": per_label,
    }


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
    return Run(settings, params, labels, model.eval(), body["training"], metrics)
