"""`edgeres train`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edge_res.export.settings import TrainSettings, read_recipe
from edge_res.export.training import Progress as Step
from edge_res.export.training import train


def names_of(text: str) -> tuple[str, ...]:
    """The names of a list a,b,c."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


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


def run(data: Path, out: Path, settings: TrainSettings, resume: bool) -> None:
    """Train with a progress bar on a terminal, a line an epoch in a pipe."""
    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading clips", total=None)

        def tell(step: Step) -> None:
            bar.update(
                task, total=step.total, completed=step.done, description=f"epoch {step.epoch + 1}, loss {step.loss:.3f}"
            )
            if step.accuracy is not None:
                console.print(f"epoch {step.epoch + 1}: loss {step.loss:.3f}, validation accuracy {step.accuracy:.1%}")

        def say(sentence: str) -> None:
            console.print(sentence, highlight=False, markup=False)

        finished = train(data, out, settings, tell, say, resume)
    if finished is None:  # another process of this training tells
        return
    metrics = finished.metrics
    low, high = metrics["interval"]
    same = finished.training["same_session"]
    print(  # the last word is there in a pipe, too
        f"{out}: accuracy {metrics['accuracy']:.1%} ({low:.1%} to {high:.1%}, n = {metrics['n']}) "
        + ("on later parts of the same session" if same else "on groups that it was not trained on"),
        file=sys.stderr,
    )
