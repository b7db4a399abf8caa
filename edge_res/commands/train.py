"""`edgeres train`."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edge_res.export.runs import TrainSettings
from edge_res.export.training import Progress as Step
from edge_res.export.training import train


def run(data: Path, out: Path, settings: TrainSettings) -> None:
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

        finished = train(data, out, settings, tell, lambda sentence: console.print(sentence, highlight=False))
    metrics = finished.metrics
    low, high = metrics["interval"]
    print(  # the last word is there in a pipe, too
        f"{out}: accuracy {metrics['accuracy']:.1%} ({low:.1%} to {high:.1%}, n = {metrics['n']}) "
        "on groups that it was not trained on",
        file=sys.stderr,
    )
