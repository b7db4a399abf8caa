"""`edgeres train`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edge_res.commands.options import (
    Batch,
    Data,
    Epochs,
    GroupPattern,
    Hop,
    Labels,
    Precision,
    Recipe,
    Seed,
    Sets,
    Split,
    Threads,
    Validation,
    ValidationGroups,
    WindowKind,
)
from edge_res.telling import say

if TYPE_CHECKING:
    from edge_res.export.training.settings import TrainSettings
    from edge_res.export.training.trainer import Progress as Step

_NETWORK = "Network"
_TRAINING = "Training"


def train(
    *,
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Run folder to write, which `edgeres export` reads.")
    ] = Path("runs/new"),
    recipe: Recipe = None,
    labels: Labels = None,
    sets: Sets = None,
    arch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=_NETWORK,
            show_default="the recipe's, else resnet8",
            help="Network to train, such as resnet8, resnet14, plain20 (no shortcuts) or svm; a wrong name lists all.",
        ),
    ] = None,
    time_padding: Annotated[
        Literal["valid", "same"] | None,
        typer.Option(
            rich_help_panel=_NETWORK,
            help="Padding along time: `valid` (none) allows step models and window models, `same` only window models.",
        ),
    ] = None,
    windows: WindowKind = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", rich_help_panel=_TRAINING, help="Length of a window, in frames."),
    ] = None,
    hop: Hop = None,
    epochs: Epochs = None,
    batch: Batch = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            rich_help_panel=_TRAINING,
            help="Number of epochs without a better validation accuracy after which training ends; 0: never.",
        ),
    ] = None,
    precision: Precision = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel=_TRAINING,
            help="Run folder of a larger network, whose scores the network learns, too.",
        ),
    ] = None,
    split: Split = None,
    validation: Validation = None,
    validation_groups: ValidationGroups = None,
    group_pattern: GroupPattern = None,
    seed: Seed = None,
    threads: Threads = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the interrupted training in the folder --out.")
    ] = False,
) -> None:
    """Train a network on clips and write a run folder, which `edgeres export` turns into a bundle."""
    from edge_res.evaluation.metrics import judged_on
    from edge_res.export.training.trainer import train as train_network

    splits = splits_of(
        split=split, validation=validation, validation_groups=validation_groups, group_pattern=group_pattern
    )
    settings = settings_of(
        recipe,
        net={"arch": arch, "time_padding": time_padding},
        splits=splits,
        labels=names_of(labels),
        sets=tuple(sets) if sets else None,
        windows=windows,
        frames=frames,
        hop=hop,
        epochs=epochs,
        batch=batch,
        patience=patience,
        precision=precision,
        teacher=teacher,
        seed=seed,
        threads=threads,
    )
    with StepBar(Console(stderr=True)) as bar, ended_by_hand("the same command with --resume continues") as check:

        def tell(step: Step) -> None:
            check()
            bar.show("", step)
            if step.accuracy is not None:
                say(str(step))

        finished = train_network(data, out, settings, tell, say, resume)
    if finished is None:  # another process of this training reports
        return
    metrics = finished.metrics
    low, high = metrics["interval"]
    judged = judged_on(finished.training["same_session"], finished.labels)
    say(f"{out}: accuracy {metrics['accuracy']:.1%} ({low:.1%} to {high:.1%}, n = {metrics['n']}) {judged}")


def names_of(text: str | None) -> tuple[str, ...] | None:
    """The names of a list a,b,c."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def splits_of(
    *, split: str | None, validation: float | None, validation_groups: str | None, group_pattern: str | None
) -> dict[str, Any]:
    """The fields of `Splits` that the options set; None where an option is not given."""
    return {
        "by_time": None if split is None else ("*",) if split == "time" else (), "validation": validation,
        "validation_groups": validation_groups, "group_pattern": group_pattern,
    }  # fmt: skip


def settings_of(
    recipe: str | None, *, net: Mapping[str, Any], splits: Mapping[str, Any], **asked: Any
) -> TrainSettings:
    """A recipe's settings with the fields that the options set, which are those that are not None."""
    from edge_res.export.training.settings import TrainSettings, read_recipe

    def given(options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if value is not None}

    settings: TrainSettings = read_recipe(recipe) if recipe else TrainSettings()
    return replace(
        settings,
        **given(asked),
        net=replace(settings.net, **given(net)),
        splits=replace(settings.splits, **given(splits)),
    )


class StepBar:
    """A progress bar of trainings, on a terminal: loss, accuracy, time left."""

    def __init__(self, console: Console) -> None:
        columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn(elapsed_when_finished=True))
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("reading clips", total=None)
        self._shown: str | None = None
        self._accuracy = ""

    def __enter__(self) -> StepBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, name: str, step: Step) -> None:
        """A step of the training `name`."""
        if name != self._shown:  # steps of an earlier process say nothing about the pace of this one
            self._bar.reset(self._task, total=step.total, completed=step.done)
            self._shown, self._accuracy = name, ""
        if step.accuracy is not None:
            self._accuracy = f", accuracy {step.accuracy:.1%}"
        said = f"{name}epoch {step.epoch + 1}, loss {step.loss:.3f}{self._accuracy}"
        self._bar.update(self._task, completed=step.done, description=said)


@contextmanager
def ended_by_hand(way_on: str) -> Iterator[Callable[[], None]]:
    """End on Ctrl-C with one sentence. The work calls what this yields wherever it can end.

    Before the first call, and at a second Ctrl-C, it ends at once. Later it does not: PyTorch forks between epochs and
    waits in destructors, where Python drops exceptions.
    """
    checked, pressed = False, False

    def press(*_: object) -> None:
        nonlocal pressed
        if pressed or not checked:
            raise KeyboardInterrupt
        pressed = True

    def check() -> None:
        nonlocal checked
        checked = True
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield check
    except KeyboardInterrupt:
        say(f"stopped; {way_on}")
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, before)
