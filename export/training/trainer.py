"""Training: a data set in, a run folder out."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_res.errors import ConfigError, DataError
from edge_res.evaluation.metrics import measure
from edge_res.export.datasets.windows import Windows
from edge_res.export.training.learning import Learner, Teacher, batches, learn_epoch, new_learner, predict
from edge_res.export.training.preparation import Prepared, prepare
from edge_res.export.training.processes import Process, joined
from edge_res.export.training.report import write_report
from edge_res.export.training.runs import (
    STATE,
    Run,
    describe,
    network_of,
    read_run,
    split_sha256,
    write_run,
    write_torch,
)
from edge_res.export.training.settings import TrainSettings
from edge_res.signal.frontend import FrontEndParams

SVM_REGULARISATION = 1e-3


@dataclass(frozen=True)
class Progress:
    """What is reported after each batch, and with `accuracy` after each epoch."""

    done: int
    total: int
    epoch: int
    loss: float
    accuracy: float | None = None

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f", validation accuracy {self.accuracy:.1%}"
        return f"epoch {self.epoch + 1}: loss {self.loss:.3f}{accuracy}"


def train(
    data: Path,
    out: Path,
    settings: TrainSettings,
    tell: Callable[[Progress], None],
    say: Callable[[str], None],
    resume: bool = False,
) -> Run | None:
    """Train on `data` and write the run folder `out`; `resume` continues a run that was killed.

    Of several processes, all but the first return None.
    """
    refuse_place(out)
    with joined(settings.threads) as process:
        if not process.first:
            tell, say = (lambda _: None), (lambda _: None)
        prepared = prepare(data, settings, say)
        if settings.net.arch == "svm":
            from edge_res.export.nets.svm import fit  # scikit-learn, only here

            history: list[dict[str, Any]] = []
            model: nn.Module = fit(prepared.epoch(settings, 0), SVM_REGULARISATION, settings.seed)
        else:
            if process.device.type == "cuda":
                say(f"Learning on {torch.cuda.get_device_name(process.device)}.")
            try:
                learner, history = learn(out, settings, prepared, process, tell, resume)
            except torch.OutOfMemoryError:
                raise ConfigError(
                    f"The GPU's memory is too small for a batch of {settings.batch}; choose a smaller --batch, or hide "
                    "the GPU: CUDA_VISIBLE_DEVICES= edgeres train …"
                ) from None
            # The last average, not the best epoch: choosing by validation would overstate its accuracy.
            model = learner.averaged
        if not process.first:
            return None
        return finished(data, out, settings, prepared, model.to("cpu"), history)


def refuse_place(out: Path) -> None:
    """Refuse a folder with a finished run, or one that cannot be written, before any training."""
    if (out / "run.json").exists():
        raise ConfigError(
            f"{out} holds a finished training; choose another --out, or remove the folder to train again."
        )
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise ConfigError(f"--out {out}: nothing can be written in {place}; name another folder.")


def finished(
    data: Path, out: Path, settings: TrainSettings, prepared: Prepared, model: nn.Module, history: list[dict[str, Any]]
) -> Run:
    """Measure a trained network, and write its run folder."""
    validation = prepared.validation(settings)
    images, targets = stacked(validation)
    groups = [example.clip.entry.group if example.clip else "background" for example in validation.examples]
    if not any(example.clip and example.clip.entry.group for example in validation.examples):
        groups = []  # one session
    logits = predict(model, images)
    measured = measure(logits.argmax(1), targets, prepared.labels, groups)
    training = describe(prepared.loaded, settings)
    metrics = {**measured, "history": history}
    run = Run(settings, prepared.params, prepared.labels, model, str(data.resolve()), training, metrics)
    write_report(out, run, validation, logits)
    write_run(out, run, prepared.loaded)  # last: it marks the run as finished
    with suppress(FileNotFoundError):
        (out / STATE).unlink()
    return run


def learn(
    out: Path,
    settings: TrainSettings,
    prepared: Prepared,
    process: Process,
    tell: Callable[[Progress], None],
    resume: bool,
) -> tuple[Learner, list[dict[str, Any]]]:
    """Train epoch after epoch; after each, everything that the next one depends on is on the disk."""
    torch.manual_seed(settings.seed)
    model = network_of(settings, prepared.params, len(prepared.labels)).build().to(process.device)
    each = len(prepared.epoch(settings, 0)) // settings.batch
    if not each:
        raise DataError(
            f"An epoch of {len(prepared.epoch(settings, 0))} windows is less than one batch of {settings.batch}; "
            "choose a smaller --batch, or add clips."
        )
    learner = new_learner(model, settings, each * settings.epochs)
    history = restored(settings, prepared, learner, process.agreed(kept_state(out, resume) if process.first else {}))
    made = batches(prepared, settings, process, each, len(history))
    images, targets = stacked(prepared.validation(settings))
    teacher = teacher_of(settings, prepared, process)
    wrapped = process.wrapped(model)
    for epoch in range(len(history), settings.epochs):
        # Asked at the beginning of an epoch, so that a resumed training ends after the same one.
        if process.agreed(is_stale(history, settings.patience)):
            break
        total = loss = 0.0
        part, labels = islice(made, each), len(prepared.labels)
        for n, loss in enumerate(learn_epoch(learner, wrapped, part, labels, settings, process, teacher, epoch), 1):
            total += loss
            tell(Progress(epoch * each + n, settings.epochs * each, epoch, total / n))
        accuracy = float((predict(learner.averaged, images, process.device).argmax(1) == targets).mean())
        history.append({"loss": round(total / each, 5), "accuracy": round(accuracy, 5)})
        tell(Progress((epoch + 1) * each, settings.epochs * each, epoch, total / each, accuracy))
        if process.first:
            state = {"settings": settings.to_dict(), "split_sha256": split_sha256(prepared.loaded), "history": history}
            write_torch(out / STATE, {**state, **learner.state()})
    return learner, history


def kept_state(out: Path, resume: bool) -> dict[str, Any]:
    """The state that an unfinished training left; empty for a new one."""
    path = out / STATE
    if not path.exists():
        return {}
    if not resume:
        raise ConfigError(
            f"{out} holds a training that is not finished; continue it with --resume, or to start over, choose another "
            "--out or remove the folder."
        )
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(path.read_bytes()), weights_only=True, map_location="cpu")
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
        raise DataError(f"The checkpoint {path} is damaged; remove it to start over.") from None
    return state


def restored(
    settings: TrainSettings, prepared: Prepared, learner: Learner, state: dict[str, Any]
) -> list[dict[str, Any]]:
    """Restore the learner to the end of the last epoch; returns the history of the epochs, empty for a new run."""
    if not state:
        return []
    asked, before = settings.to_dict(), state["settings"]
    if differing := sorted(name for name in asked if asked[name] != before.get(name)):
        raise ConfigError(
            f"The training was started with other settings ({', '.join(differing)}); give the same ones to continue "
            "it, or choose another --out."
        )
    if state["split_sha256"] != split_sha256(prepared.loaded):
        raise DataError("The training was started with other data: the clips or their split differ.")
    learner.restore(state)
    return list(state["history"])


def is_stale(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the validation was best at least `patience` epochs ago; never with a patience of 0."""
    if not history:
        return False
    best = max(range(len(history)), key=lambda i: float(history[i]["accuracy"]))
    return bool(patience) and len(history) - 1 - best >= patience


def teacher_of(settings: TrainSettings, prepared: Prepared, process: Process) -> Teacher | None:
    """The network whose scores are learned; its front-end, window, labels and split must be the student's."""
    if not settings.teacher:
        return None
    run = read_run(Path(settings.teacher))

    def core(params: FrontEndParams) -> FrontEndParams:
        return replace(params, mean=(0.0,) * params.bins, gain=(1.0,) * params.bins)

    if run.labels != prepared.labels or run.settings.frames != settings.frames:
        raise ConfigError(
            f"The teacher {settings.teacher} has {run.settings.frames} frames and the labels {', '.join(run.labels)}; "
            f"the student has {settings.frames} and {', '.join(prepared.labels)}: they must be the same."
        )
    if core(run.front_end) != core(prepared.params):
        raise ConfigError(
            f"The teacher {settings.teacher} has a different front-end from the student's; train both with the same."
        )
    if run.training["split_sha256"] != split_sha256(prepared.loaded):
        raise ConfigError(
            f"The teacher {settings.teacher} was trained on another split of the data and may know the student's "
            "validation clips; train it with the same data, seed and splits."
        )
    return Teacher.of(run.model, run.front_end, prepared.params, process.device)


def stacked(windows: Windows) -> tuple[Tensor, NDArray[np.int64]]:
    """All windows at once: images `(n, channels, frames, bins)` and the indices of their labels."""
    return torch.stack([windows[i][0] for i in range(len(windows))]), windows.targets()
