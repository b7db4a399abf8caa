"""Training: a data set in, a run folder out."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_res.export import data as datasets
from edge_res.export.augment import Scene
from edge_res.export.nets import ResNet
from edge_res.export.runs import (
    Run,
    TrainSettings,
    describe,
    load_data,
    measure,
    shape_of,
    speech_front_end,
    write_run,
)
from edge_res.export.windows import Windows, training_examples, validation_examples
from edge_res.frontend import FrontEndParams

_NORMALISATION_WINDOWS = 400


@dataclass(frozen=True)
class Progress:
    """What is told after each batch, and with `accuracy` after each epoch."""

    done: int
    total: int
    epoch: int
    loss: float
    accuracy: float | None


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
            loss.backward()  # type: ignore[no-untyped-call]
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
    run = Run(settings, params, labels, averaged, str(data.resolve()), training, metrics)
    write_run(out, run, datasets.split_csv(loaded))
    return run


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
    logits: NDArray[np.float32] = torch.cat([model(part) for part in torch.split(images, 128)]).numpy()
    return logits
