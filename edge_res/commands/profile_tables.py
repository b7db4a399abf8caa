"""What `edgeres profile` prints: a profile, and two compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_res.commands.telling import say
from edge_res.errors import ConfigError
from edge_res.profiling import tables
from edge_res.profiling.compare import FIGURES, Pair, differences, pairs
from edge_res.profiling.report import Report, read_report
from edge_res.profiling.rows import Row
from edge_res.sinks.writing import writing

_COLOURS = {"stable": "green", "noisy": "yellow", "drifting": "yellow", "throttled": "red", "failed": "red"}
_FIGURES = {
    "p50_us": ("p50 µs", 1.0),
    "p99_us": ("p99 µs", 1.0),
    "cpu_share": ("core %", 100.0),
    "rss_bytes": ("RSS MB", 1e-6),
}


def print_profile(report: Report, console: Console) -> None:
    """The tables, and in sentences what they have no room for."""
    rows = [Row.from_dict(row) for row in report["rows"]]
    bundle, recommendation = report["bundle"], report["recommendation"]
    console.print(f"{bundle['name']} on {report['device']['name']}, a hop of {bundle['hop_ms']:g} ms", markup=False)
    for head, lines in tables.all_of(rows):
        console.print(table(head, lines))
        console.print()
    console.print(tables.LEGEND, style="dim", highlight=False)
    for sentence in tables.remarks(rows, report["device"]["rail"]):
        console.print(sentence, markup=False, highlight=False)
    if recommendation:
        name = f"{recommendation['engine']}, {recommendation['mode']}, threads: {recommendation['threads']}"
        console.print(f"Recommended: {name}: {recommendation['reason']}.", markup=False, style="bold")
    else:
        console.print(f"Nothing is recommended: {report['why_none']}.", markup=False, style="bold")


def compare(first: Path, second: Path, anyway: bool, as_json: bool) -> None:
    """Print what two profiles have in common, with ratios; a `ConfigError` where they are of different things."""
    one, two = read_report(first), read_report(second)
    if apart := differences(one, two):
        told = f"{first} and {second} are {' and '.join(apart)}"
        if not anyway:
            raise ConfigError(f"{told}; profile the same bundle, or compare them all the same with --anyway.")
        say(f"{told}: their ratios are not those of the devices")
    both = pairs(one, two)
    if not both:
        raise ConfigError(f"{first} and {second} have no combination of engine, mode and threads in common.")
    with writing():
        if as_json:
            ratios = [{**asdict(pair), "ratios": {name: pair.ratio(name) for name in FIGURES}} for pair in both]
            print(json.dumps({"first": str(first), "second": str(second), "pairs": ratios}), flush=True)
            return
        console = Console()
        names = [f"{path}: {body['device'].get('name')}" for path, body in ((first, one), (second, two))]
        console.print(f"1: {names[0]}\n2: {names[1]}", markup=False, highlight=False)
        head = ["1→2", *(title for title, _ in _FIGURES.values()), "verdicts"]
        console.print(table(head, (pair_texts(pair) for pair in both)))


def pair_texts(pair: Pair) -> list[str]:
    """A line of the comparison: both figures and their ratio."""
    cells = []
    for name, (_, scale) in _FIGURES.items():
        both, ratio = (pair.first[name], pair.second[name]), pair.ratio(name)
        values = "→".join("–" if value is None else short(scale * value) for value in both)
        cells.append(values if ratio is None else f"{values} ×{ratio:.2f}")
    return [" ".join(map(str, pair.key)), *cells, " → ".join(pair.verdicts)]


def short(value: float) -> str:
    """Three digits, and all of a larger whole number."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    """A table of texts, which are never markup; a verdict, the last cell, has its colour."""
    first, *others = head
    rows = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False, header_style="bold underline")
    rows.add_column(first, no_wrap=True)
    for name in others:
        rows.add_column(name, justify="left" if name.startswith("verdict") else "right")
    for line in lines:
        *cells, last = line
        rows.add_row(*map(Text, cells), Text(last, style=_COLOURS.get(last, "")))
    return rows
