"""`edgeres compare`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge_res.commands.train import StepBar, ended_by_hand
from edge_res.export.comparison import Row, compare, plot
from edge_res.export.training.runs import write_file
from edge_res.export.training.settings import TrainSettings
from edge_res.export.training.trainer import Progress as Step

_TABLE_WIDTH = 112  # in a pipe, too


def run(data: Path, out: Path, settings: TrainSettings, archs: list[str], as_json: bool) -> None:
    """Train and export each architecture, then print one table and write one plot."""
    console = Console(stderr=True)

    def say(sentence: str) -> None:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    with StepBar(console) as bar, ended_by_hand("the same command goes on with what is not finished") as check:

        def tell(arch: str, step: Step) -> None:
            check()
            bar.show(f"{arch}, ", step)
            if step.accuracy is not None:
                say(f"{arch}, {step}")

        rows = compare(data, out, settings, archs, tell, say)
    write_file(out / "compare.json", json.dumps([asdict(row) for row in rows], indent=1).encode())
    write_file(out / "compare.png", plot(rows))
    if as_json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    else:
        Console(width=max(Console().width, _TABLE_WIDTH)).print(table(rows))
    console.print(f"{out}/compare.png, {out}/compare.json", highlight=False)


def table(rows: list[Row]) -> Table:
    """A row an architecture."""
    found = Table(
        *("network", "frames", "accuracy", "95 % interval", "int8", "parameters"),
        *("multiply-adds a hop", "bytes", "µs a hop"),
        box=None,
    )
    for row in rows:
        low, high = row.interval
        found.add_row(
            row.arch, str(row.frames), f"{row.accuracy:.1%}", f"{low:.1%} to {high:.1%}", f"{row.int8_accuracy:.1%}",
            f"{row.parameters:,}", f"{row.macs_hop:,}", f"{row.bytes:,}", f"{row.us_hop:g}",
        )  # fmt: skip
    return found
