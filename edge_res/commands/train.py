"""`edgeres train`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edge_res.evaluation.metrics import judged_on
from edge_res.export.training.settings import TrainSettings, read_recipe
from edge_res.export.training.trainer import Progress as Step
from edge_res.export.training.trainer import train


def names_of(text: str | None) -> tuple[str, ...] | None:
    """The names of a list a,b,c."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def splits_of(
    split: str | None, validation: float | None, validation_groups: str | None, group_pattern: str | None
) -> dict[str, Any]:
    """What was asked for of `Splits`."""
    return {
        "by_time": None if split is None else ("*",) if split == "time" else (), "validation": validation,
        "validation_groups": validation_groups, "group_pattern": group_pattern,
    }  # fmt: skip


def settings_of(recipe: str | None, asked: Mapping[str, Any], net: Mapping[str, Any], splits: Mapping[str, Any]) -> Any:
    """A recipe's settings, with what was asked for on the command line (all that is not None) put in their place."""

    def given(options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if value is not None}

    settings = read_recipe(recipe) if recipe else TrainSettings()
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
        if name != self._shown:  # what was done before this process began says nothing about its pace
            self._bar.reset(self._task, total=step.total, completed=step.done)
            self._shown, self._accuracy = name, ""
        if step.accuracy is not None:
            self._accuracy = f", accuracy {step.accuracy:.1%}"
        said = f"{name}epoch {step.epoch + 1}, loss {step.loss:.3f}{self._accuracy}"
        self._bar.update(self._task, completed=step.done, description=said)


@contextmanager
def ended_by_hand(way_on: str) -> Iterator[Callable[[], None]]:
    """Ctrl-C is one sentence. From its first call on, what is yielded ends the work when it is called after Ctrl-C.

    At once would not do: between epochs PyTorch forks, and waits in destructors, where Python drops exceptions.
    A second Ctrl-C ends it at once.
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
        print(f"edgeres: stopped; {way_on}", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, before)


def run(data: Path, out: Path, settings: TrainSettings, resume: bool) -> None:
    """Train with a progress bar on a terminal, a line an epoch in a pipe."""
    console = Console(stderr=True)

    def say(sentence: str) -> None:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    with StepBar(console) as bar, ended_by_hand("the same command with --resume goes on") as check:

        def tell(step: Step) -> None:
            check()
            bar.show("", step)
            if step.accuracy is not None:
                say(str(step))

        finished = train(data, out, settings, tell, say, resume)
    if finished is None:  # another process of this training tells
        return
    metrics = finished.metrics
    low, high = metrics["interval"]
    judged = judged_on(finished.training["same_session"], finished.labels)
    print(  # the last word is there in a pipe, too
        f"{out}: accuracy {metrics['accuracy']:.1%} ({low:.1%} to {high:.1%}, n = {metrics['n']}) {judged}",
        file=sys.stderr,
    )
