"""One epoch of learning: batches, loss, the teacher, the moving average."""

from __future__ import annotations

import copy
import math
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_res.export.datasets.windows import Windows
from edge_res.export.training.preparation import Prepared
from edge_res.export.training.processes import Process
from edge_res.export.training.settings import TrainSettings
from edge_res.signal.frontend import FrontEndParams


@dataclass(frozen=True)
class Learner:
    """What changes while a network learns."""

    model: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name).state_dict() for name in ("model", "averaged", "optimizer", "schedule")}

    def restore(self, state: dict[str, Any]) -> None:
        for name in ("model", "averaged", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])


def new_learner(model: nn.Module, settings: TrainSettings, steps: int) -> Learner:
    """An untrained network with its optimizer and a schedule over `steps` batches."""
    groups = parameter_groups(model, settings.weight_decay)
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, settings.learning_rate, momentum=0.9, nesterov=True)
    else:
        optimizer = torch.optim.AdamW(groups, settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step / steps, settings.warm_up))
    return Learner(model, copy.deepcopy(model).eval(), optimizer, schedule)


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


@dataclass(frozen=True)
class Teacher:
    """A larger network whose scores are learned; `gain` and `shift` convert images to its own normalisation."""

    model: nn.Module
    gain: Tensor
    shift: Tensor

    @classmethod
    def of(cls, model: nn.Module, theirs: FrontEndParams, ours: FrontEndParams, device: torch.device) -> Teacher:
        gain = np.array(theirs.gain) / np.array(ours.gain)
        shift = (np.array(ours.mean) - np.array(theirs.mean)) * np.array(theirs.gain)
        as_tensor = [torch.tensor(array, dtype=torch.float32, device=device) for array in (gain, shift)]
        return cls(model.to(device).eval(), *as_tensor)

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """Its probabilities `(batch, labels)` for images as the student sees them."""
        return torch.softmax(self.model(images * self.gain + self.shift).float(), 1)


class Epochs(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """The windows of all epochs of a training, by (epoch, index)."""

    def __init__(self, prepared: Prepared, settings: TrainSettings) -> None:
        self.prepared = prepared
        self.settings = settings
        self.made: tuple[int, Windows] | None = None

    def of(self, epoch: int) -> Windows:
        if self.made is None or self.made[0] != epoch:
            self.made = epoch, self.prepared.epoch(self.settings, epoch)
        return self.made[1]

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, number = place
        return self.of(epoch)[number]


def batches(
    prepared: Prepared, settings: TrainSettings, process: Process, each: int, begun: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's part of each batch of newly made windows, `each` batches per epoch, from epoch `begun` on.

    Loader processes make the windows; their number does not change the result. They start only once: no epoch has to
    wait for them, and Python 3.11 may hang in a fork beside threads that are not Python's, such as those of `torchrun`.
    """
    share = process.share(settings.batch)
    shares = [range(n * settings.batch, (n + 1) * settings.batch)[share] for n in range(each)]
    places = ([(epoch, i) for i in part] for epoch in range(begun, settings.epochs) for part in shares)
    workers = process.loaders(settings.threads)
    epochs = Epochs(prepared, settings)
    loader = torch.utils.data.DataLoader(
        epochs, batch_sampler=places, num_workers=workers, worker_init_fn=_leave_ctrl_c_to_the_training
    )
    return iter(loader)


def _leave_ctrl_c_to_the_training(worker: int) -> None:
    """A process that makes windows must not end before the training does, which still takes what it has made."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def mixed(rng: np.random.Generator, images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix half of the batches with themselves in reverse order (mixup, Zhang et al. 2018, eq. 1)."""
    if not alpha or rng.random() < 0.5:
        return images, targets
    share = float(rng.beta(alpha, alpha))
    return torch.lerp(images.flip(0), images, share), torch.lerp(targets.flip(0), targets, share)


def smooth_targets(labels: Tensor, count: int, smoothing: float) -> Tensor:
    """One-hot targets `(batch, count)` with `smoothing` spread over all labels (Szegedy et al. 2016, section 7)."""
    return nn.functional.one_hot(labels, count).float() * (1 - smoothing) + smoothing / count


def learn_epoch(
    learner: Learner,
    wrapped: nn.Module,
    made: Iterable[tuple[Tensor, Tensor]],
    labels: int,
    settings: TrainSettings,
    process: Process,
    teacher: Teacher | None,
    epoch: int,
) -> Iterator[float]:
    """Learn from each batch of an epoch, and yield its loss."""
    learner.model.train()
    rng = np.random.default_rng((settings.seed, 5, epoch, process.number))
    for images, truth in made:
        targets = smooth_targets(truth, labels, settings.label_smoothing)
        images, targets = mixed(rng, images, targets, settings.mixup)
        images, targets = images.to(process.device), targets.to(process.device)
        with torch.autocast(process.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            if teacher:
                targets = torch.lerp(targets, teacher.scores(images), settings.teacher_share)
            logits = wrapped(images)
        loss = nn.functional.cross_entropy(logits.float(), targets)
        learner.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learner.model.parameters(), settings.clip_norm)
        learner.optimizer.step()
        learner.schedule.step()
        done = learner.schedule.last_epoch
        move_average(learner.averaged, learner.model, min(settings.ema, done / (done + 10)))
        yield float(loss.detach())


@torch.no_grad()
def move_average(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    """Exponential moving average of the weights; running statistics are averaged too, counters are copied."""
    for old, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, device: torch.device | None = None) -> NDArray[np.float32]:
    """Logits `(n, labels)` of many windows."""
    model.eval()
    parts = [model(part.to(device or "cpu")).float().cpu() for part in torch.split(images, 128)]
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits
