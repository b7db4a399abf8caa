"""`edgeres compare`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from edge_res.commands.options import (
    Batch,
    Data,
    Epochs,
    GroupPattern,
    Hop,
    Json,
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
from edge_res.commands.train import StepBar, ended_by_hand, names_of, settings_of, splits_of
from edge_res.telling import say

if TYPE_CHECKING:
    from edge_res.export.comparison import Row
    from edge_res.export.training.trainer import Progress as Step

_TABLE_WIDTH = 112  # in a pipe, too


def compare(
    *,
    data: Data,
    arch: Annotated[
        str, typer.Option(metavar="A,B,C", help="Networks to compare, as `edgeres train --arch` names them.")
    ] = "svm,plain14,resnet14",
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for runs, bundles, table and plot.")
    ] = Path("runs/compare"),
    recipe: Recipe = None,
    labels: Labels = None,
    sets: Sets = None,
    windows: WindowKind = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", rich_help_panel="Training", help="Minimum length of a window, in frames."),
    ] = None,
    hop: Hop = None,
    epochs: Epochs = None,
    batch: Batch = None,
    precision: Precision = None,
    split: Split = None,
    validation: Validation = None,
    validation_groups: ValidationGroups = None,
    group_pattern: GroupPattern = None,
    seed: Seed = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Train, export and measure several networks on the same data, print a table and write a plot."""
    from edge_res.export.comparison import compare as compare_networks
    from edge_res.export.comparison import plot
    from edge_res.export.training.runs import write_file

    splits = splits_of(
        split=split, validation=validation, validation_groups=validation_groups, group_pattern=group_pattern
    )
    settings = settings_of(
        recipe,
        net={},
        splits=splits,
        labels=names_of(labels),
        sets=tuple(sets) if sets else None,
        windows=windows,
        frames=frames,
        hop=hop,
        epochs=epochs,
        batch=batch,
        precision=precision,
        seed=seed,
        threads=threads,
    )
    with (
        StepBar(Console(stderr=True)) as bar,
        ended_by_hand("the same command continues") as check,
    ):

        def tell(arch: str, step: Step) -> None:
            check()
            bar.show(f"{arch}, ", step)
            if step.accuracy is not None:
                say(f"{arch}, {step}")

        rows = compare_networks(data, out, settings, list(names_of(arch) or ()), tell, say)
    write_file(out / "compare.json", json.dumps([asdict(row) for row in rows], indent=1).encode())
    write_file(out / "compare.png", plot(rows))
    if as_json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    else:
        Console(width=max(Console().width, _TABLE_WIDTH)).print(table(rows))
    say(f"wrote {out}/compare.png and {out}/compare.json")


def table(rows: list[Row]) -> Table:
    """A row a network."""
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
