"""Training: a data set in, a run folder out."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_res.errors import ConfigError, DataError
from edge_res.export import data as datasets
from edge_res.export.augment import Scene
from edge_res.export.entries import read_entries
from edge_res.export.learning import Learner, Teacher, learn_epoch, new_learner, predict
from edge_res.export.metrics import measure
from edge_res.export.processes import Process, joined
from edge_res.export.report import write_report
from edge_res.export.runs import (
    STATE,
    Run,
    describe,
    load_data,
    network_of,
    read_run,
    split_sha256,
    write_run,
    write_torch,
)
from edge_res.export.settings import TrainSettings
from edge_res.export.windows import Windows, plain_windows, training_windows
from edge_res.frontend import FrontEndParams

_NORMALISATION_WINDOWS = 400
SVM_REGULARISATION = 1e-3


@dataclass(frozen=True)
class Progress:
    """What is told after each batch, and with `accuracy` after each epoch."""

    done: int
    total: int
    epoch: int
    loss: float
    accuracy: float | None = None


@dataclass(frozen=True)
class Material:
    """A data set made ready: labels, the normalised front-end, and how windows of it are made."""

    loaded: datasets.DataSet
    labels: tuple[str, ...]
    params: FrontEndParams
    scene: Scene

    def epoch(self, settings: TrainSettings, epoch: int) -> Windows:
        """The training windows of an epoch."""
        seed = (settings.seed, 1, epoch)
        return training_windows(self.loaded, self.labels, settings.windows, self.scene, self.params, seed)

    def validation(self, settings: TrainSettings) -> Windows:
        seed = (settings.seed, 2)
        return plain_windows(self.loaded, "validation", self.labels, settings.windows, self.scene, self.params, seed)


def train(
    data: Path,
    out: Path,
    settings: TrainSettings,
    tell: Callable[[Progress], None],
    say: Callable[[str], None],
    resume: bool = False,
) -> Run | None:
    """Train on `data` and write the run folder `out`; `resume` goes on where a killed run stood.

    Of several processes all but the first return None.
    """
    refuse_finished(out)
    with joined(settings.threads) as process:
        if not process.first:
            tell, say = (lambda _: None), (lambda _: None)
        material = prepare(data, settings, say)
        if settings.net.arch == "svm":
            from edge_res.export.svm import fit  # scikit-learn, only here

            history: list[dict[str, Any]] = []
            model: nn.Module = fit(material.epoch(settings, 0), SVM_REGULARISATION, settings.seed)
        else:
            learner, history = learn(out, settings, material, process, tell, resume)
            # The last average, not the best epoch: choosing by validation would flatter its accuracy.
            model = learner.averaged
        if not process.first:
            return None
        return finished(data, out, settings, material, model.to("cpu"), history)


def refuse_finished(out: Path) -> None:
    """A finished run is never written over."""
    if (out / "run.json").exists():
        raise ConfigError(
            f"{out} holds a finished training; choose another --out, or remove the folder to train it anew."
        )


def finished(
    data: Path, out: Path, settings: TrainSettings, material: Material, model: nn.Module, history: list[dict[str, Any]]
) -> Run:
    """Measure a trained network, and write its run folder."""
    validation = material.validation(settings)
    images, targets = stacked(validation)
    groups = [example.clip.entry.group if example.clip else "background" for example in validation.examples]
    logits = predict(model, images)
    measured = measure(logits.argmax(1), targets, material.labels, groups)
    training = describe(material.loaded, settings)
    metrics = {**measured, "history": history}
    run = Run(settings, material.params, material.labels, model, str(data.resolve()), training, metrics)
    write_run(out, run, datasets.split_csv(material.loaded))
    write_report(out, run, validation, logits)
    with suppress(FileNotFoundError):
        (out / STATE).unlink()
    return run


def prepare(data: Path, settings: TrainSettings, say: Callable[[str], None]) -> Material:
    """Read the data, and measure its normalisation."""
    params = settings.front_end.params()
    words = settings.labels or default_labels(data, settings)
    loaded = load_data(data, words, settings)
    for sentence in loaded.left_out:
        say(f"left out: {sentence}")
    labels = (*words, *background_labels(loaded, settings))
    network_of(settings, params, len(labels))  # refuses a window that does not fit
    scene = Scene(params.sample_rate_hz, params.samples_of(settings.frames), params.channels, settings.vary)
    params = normalised(Material(loaded, labels, params, scene), settings)
    say(f"{len(loaded.of('train')[0])} clips to train on, {len(loaded.of('validation')[0])} to validate on, "
        f"{len(labels)} labels")  # fmt: skip
    if loaded.same_session:
        say(f"same session: training and validation of {', '.join(loaded.same_session)} are parts of one recording")
    return Material(loaded, labels, params, scene)


def learn(
    out: Path,
    settings: TrainSettings,
    material: Material,
    process: Process,
    tell: Callable[[Progress], None],
    resume: bool,
) -> tuple[Learner, list[dict[str, Any]]]:
    """Epoch after epoch; what the next one depends on is on the disk after each."""
    torch.manual_seed(settings.seed)
    model = network_of(settings, material.params, len(material.labels)).build().to(process.device)
    batches = len(material.epoch(settings, 0)) // settings.batch
    if not batches:
        raise DataError(
            f"An epoch of {len(material.epoch(settings, 0))} windows is less than one batch of {settings.batch}; "
            "choose a smaller --batch, or add clips."
        )
    learner = new_learner(model, settings, batches * settings.epochs)
    history = restored(out, settings, material, learner, resume)
    images, targets = stacked(material.validation(settings))
    teacher = teacher_of(settings, material, process)
    wrapped = process.wrapped(model)
    for epoch in range(len(history), settings.epochs):
        windows = material.epoch(settings, epoch)
        total = loss = 0.0
        for n, loss in enumerate(learn_epoch(learner, wrapped, windows, settings, process, teacher, epoch), 1):
            total += loss
            tell(Progress(epoch * batches + n, settings.epochs * batches, epoch, total / n))
        accuracy = float((predict(learner.averaged, images, process.device).argmax(1) == targets).mean())
        history.append({"loss": round(total / batches, 5), "accuracy": round(accuracy, 5)})
        tell(Progress((epoch + 1) * batches, settings.epochs * batches, epoch, total / batches, accuracy))
        if process.first:
            state = {"settings": settings.to_dict(), "split_sha256": split_sha256(material.loaded), "history": history}
            write_torch(out / STATE, {**state, **learner.state()})
        if process.agreed(is_stale(history, settings.patience)):
            break
    return learner, history


def restored(
    out: Path, settings: TrainSettings, material: Material, learner: Learner, resume: bool
) -> list[dict[str, Any]]:
    """The epochs so far, with the learner as it was after them; none for a new run."""
    path = out / STATE
    if not path.exists():
        return []
    if not resume:
        raise ConfigError(
            f"{out} holds a training that is not finished: --resume goes on with it; to begin anew choose another "
            "--out, or remove the folder."
        )
    state = torch.load(io.BytesIO(path.read_bytes()), weights_only=True, map_location="cpu")
    asked, stood = settings.to_dict(), state["settings"]
    if differing := sorted(name for name in asked if asked[name] != stood.get(name)):
        raise ConfigError(
            f"The training in {out} was begun with other settings ({', '.join(differing)}); give the same to go on "
            "with it, or choose another --out."
        )
    if state["split_sha256"] != split_sha256(material.loaded):
        raise DataError(f"The training in {out} was begun with other data; its clips or their split differ.")
    learner.restore(state)
    return list(state["history"])


def is_stale(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the validation was best more than `patience` epochs ago."""
    best = max(range(len(history)), key=lambda i: float(history[i]["accuracy"]))
    return bool(patience) and len(history) - 1 - best >= patience


def teacher_of(settings: TrainSettings, material: Material, process: Process) -> Teacher | None:
    """The network whose scores are learned; it must look at the same spectrogram and tell the same labels."""
    if not settings.teacher:
        return None
    run = read_run(Path(settings.teacher))

    def core(params: FrontEndParams) -> FrontEndParams:
        return replace(params, mean=(0.0,) * params.bins, gain=(1.0,) * params.bins)

    if run.labels != material.labels or run.settings.frames != settings.frames:
        raise ConfigError(
            f"The teacher {settings.teacher} has {run.settings.frames} frames and the labels {', '.join(run.labels)}; "
            f"the student has {settings.frames} and {', '.join(material.labels)}: they must be the same."
        )
    if core(run.front_end) != core(material.params):
        raise ConfigError(f"The teacher {settings.teacher} has another front-end than the student; train it with ours.")
    if run.training["split_sha256"] != split_sha256(material.loaded):
        raise ConfigError(
            f"The teacher {settings.teacher} was trained on another split of the data; what it tells of our validation "
            "clips would flatter the student. Train it with the same data, seed and splits."
        )
    return Teacher.of(run.model, run.front_end, material.params, process.device)


def default_labels(data: Path, settings: TrainSettings) -> tuple[str, ...]:
    """All labels of the data but the background's."""
    entries, _ = read_entries(data, settings.sets, settings.splits.group_pattern)
    return tuple(sorted({e.label for e in entries} - {datasets.NOISE, datasets.SILENCE, datasets.UNKNOWN}))


def background_labels(loaded: datasets.DataSet, settings: TrainSettings) -> tuple[str, ...]:
    """`_silence_` where there is background for words, `_unknown_` where there are other labels."""
    silence = (datasets.SILENCE,) if loaded.noise and settings.windows == "words" else ()
    unknown = any(clip.entry.label == datasets.UNKNOWN for clip in loaded.clips)
    return (*silence, datasets.UNKNOWN) if unknown else silence


def normalised(material: Material, settings: TrainSettings) -> FrontEndParams:
    """The front-end with the mean of each bin and one deviation for all, measured on training windows."""
    seed = (settings.seed, 0)
    windows = training_windows(
        material.loaded, material.labels, settings.windows, material.scene, material.params, seed
    )
    windows.varied = False
    count = min(len(windows), _NORMALISATION_WINDOWS)
    frames = np.stack([windows.frames(i) for i in range(count)]).astype(np.float64)
    mean = frames.mean((0, 1, 3))
    gain = 1 / max(float(frames.std()), 1e-6)
    bins = material.params.bins
    return replace(material.params, mean=tuple(mean.round(4).tolist()), gain=(round(gain, 5),) * bins)


def stacked(windows: Windows) -> tuple[Tensor, NDArray[np.int64]]:
    """All windows at once: images `(n, channels, frames, bins)` and the indices of their labels."""
    return torch.stack([windows[i][0] for i in range(len(windows))]), windows.targets()
