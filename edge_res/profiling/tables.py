"""Profiles for people: tables of texts and sentences, which the page shows, and printing them in the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_res.errors import ConfigError
from edge_res.profiling.compare import FIGURES, Pair, differences, pairs
from edge_res.profiling.judge import Conditions
from edge_res.profiling.report import Report, read_report
from edge_res.profiling.rows import Row
from edge_res.profiling.timing import STAGES
from edge_res.telling import say
from edge_res.writing import writing

Texts = list[str]

LEGEND = (
    "Each line is an engine, a mode and its threads. p50 to missed: paced, at the real hop, as in use; unpaced: one "
    "hop right after another, warm; first: the model's first run alone, cold, while loading. Stages are unpaced "
    "medians; total: without the timers of the stages. core: processor time over audio time."
)
HOPS = ("µs per hop", "p50", "p95", "p99", "max", "missed", "unpaced", "first", "verdict")
COSTS = ("cost", "core", "unpaced", "real time", "RSS", "load", "warm-up")
STAGE_TIMES = ("µs per stage", *(name.removesuffix("_end").removesuffix("ize") for name in STAGES), "sum", "total")
_STYLES = {"stable": "green", "noisy": "yellow", "drifting": "yellow", "throttled": "red", "failed": "red"}
# Figures of the comparison: title, and the factor to its unit.
_FIGURES = {
    "p50_us": ("p50 µs", 1.0),
    "p99_us": ("p99 µs", 1.0),
    "cpu_share": ("core %", 100.0),
    "rss_bytes": ("RSS MB", 1e-6),
}


def hops(rows: Sequence[Row]) -> list[Texts]:
    """Lines for `HOPS`: the paced hops, missed deadlines, the unpaced median, the model's first run."""
    found = []
    for row in rows:
        if row.paced and row.unpaced and row.cold:
            paced, first = row.paced, row.cold["first_run_us"]
            times = (paced.p50_us, paced.p95_us, paced.p99_us, paced.max_us)
            cells = [*map(whole, times), f"{paced.misses}/{paced.hops}", whole(row.unpaced.p50_us), whole(first)]
        else:
            cells = ["–"] * 7
        found.append([row.label, *cells, row.verdict])
    return found


def costs(rows: Sequence[Row]) -> list[Texts]:
    """Lines for `COSTS`: shares of a core, the real-time factor, memory, the time to load, hops until warm."""
    return [
        [
            row.label,
            f"{row.paced.cpu_share:.2%}",
            f"{row.unpaced.cpu_share:.2%}",
            f"{row.unpaced.real_time_factor:.5f}",
            f"{(row.rss_bytes or 0) / 1e6:.1f} MB",
            f"{row.cold['import_ms'] + row.cold['load_ms']:.0f} ms",
            f"{row.warm_up['hops']} hops" + ("" if row.warm_up["settled"] else ", never"),
        ]
        for row in rows
        if row.paced and row.unpaced and row.cold and row.warm_up
    ]


def stage_times(rows: Sequence[Row]) -> list[Texts]:
    """Lines for `STAGE_TIMES`: the stages' median µs, their sum, and the total without their timers."""
    found = []
    for row in rows:
        if row.stages_us and row.stages_whole_us:
            times = [*(row.stages_us[name] for name in STAGES), sum(row.stages_us.values()), row.stages_whole_us]
            found.append([row.label, *(f"{time:.1f}" for time in times)])
    return found


def all_of(rows: Sequence[Row]) -> list[tuple[Sequence[str], list[Texts]]]:
    """The tables, as head and lines, that have any line; if all rows failed, only the first has."""
    found = ((HOPS, hops(rows)), (COSTS, costs(rows)), (STAGE_TIMES, stage_times(rows)))
    return [(head, lines) for head, lines in found if lines]


def whole(us: float) -> str:
    """Whole microseconds."""
    return f"{us:.0f}"


def stages_sentence(rows: Sequence[Row]) -> str:
    """How far the stages' sum is from the total, and the time outside front-end and engine."""
    known = [(row.stages_us, row.stages_whole_us) for row in rows if row.stages_us and row.stages_whole_us]
    if not known:
        return ""
    apart = max(abs(sum(stages.values()) / total - 1) for stages, total in known)
    outside = [sum(us for name, us in stages.items() if name not in ("front_end", "engine")) for stages, _ in known]
    between = "–".join(dict.fromkeys(f"{us:.0f}" for us in (min(outside), max(outside))))
    return f"Stage times add up to within {apart:.1%} of the total; {between} µs are outside front-end and engine."


def remarks(rows: Sequence[Row], rail: str) -> list[str]:
    """Sentences on what the tables leave out: verdicts, operators, energy, clocks and temperature."""
    found = [sentence] if (sentence := stages_sentence(rows)) else []
    found += [f"{row.name}: {row.verdict}: {row.why.rstrip('.')}." for row in rows if row.verdict != "stable"]
    for row in rows:
        if row.unpaced and row.unpaced.verdict not in ("stable", row.verdict):
            found.append(f"{row.name}, unpaced: {row.unpaced.verdict}: {row.unpaced.why}.")
    for row in rows:
        if row.ops_us:
            most, total = sorted(row.ops_us.items(), key=lambda item: -item[1])[:6], sum(row.ops_us.values())
            shares = ", ".join(f"{name} {us / total:.0%}" for name, us in most)
            found.append(f"{row.name}, per operator, by the engine's profiler: {shares}.")
    silent = sorted({row.engine for row in rows if row.paced and not row.ops_us})
    if silent:
        found.append(f"Per operator: unknown for {' and '.join(silent)}.")
    found += [energy_sentence(row, rail) for row in rows if row.energy]
    if not any(row.energy for row in rows):
        found.append("Energy per decision: unknown, no power rail can be read here.")
    seen = [phase.conditions for row in rows for phase in (row.unpaced, row.paced) if phase]
    return [*found, temperature(seen), clock(seen), throttling(seen)] if seen else found


def energy_sentence(row: Row, rail: str) -> str:
    energy = row.energy or {}
    return (
        f"{row.name}: {energy['decision_mj']:.3f} mJ per decision beyond the idle device "
        f"({energy['idle_w']:.2f} W idle, {energy['unpaced_w']:.2f} W unpaced, {energy['paced_w']:.2f} W paced; "
        f"{rail})."
    )


def temperature(seen: Sequence[Conditions]) -> str:
    values = [value for conditions in seen for value in conditions.temperatures_c]
    if not values:
        return "Temperature: unknown."
    return f"Temperature: {values[0]:.1f} °C at the start, at most {max(values):.1f} °C."


def clock(seen: Sequence[Conditions]) -> str:
    values = [value for conditions in seen for value in conditions.clocks_mhz]
    return f"Clock: {min(values):.0f} to {max(values):.0f} MHz." if values else "Clock: unknown."


def throttling(seen: Sequence[Conditions]) -> str:
    causes = dict.fromkeys(cause for conditions in seen for cause in conditions.throttled)
    return f"Throttling: {'; '.join(causes) if causes else 'none reported'}."


def print_profile(report: Report, console: Console) -> None:
    """Print the tables of a profile and the remarks on it."""
    rows = [Row.from_dict(row) for row in report["rows"]]
    bundle, recommendation = report["bundle"], report["recommendation"]
    console.print(f"{bundle['name']} on {report['device']['name']}, a hop of {bundle['hop_ms']:g} ms", markup=False)
    for head, lines in all_of(rows):
        console.print(table(head, lines))
        console.print()
    console.print(LEGEND, style="dim", highlight=False)
    for sentence in remarks(rows, report["device"]["rail"]):
        console.print(sentence, markup=False, highlight=False)
    if recommendation:
        name = f"{recommendation['engine']}, {recommendation['mode']}, threads: {recommendation['threads']}"
        console.print(f"Recommended: {name}: {recommendation['reason']}.", markup=False, style="bold")
    else:
        console.print(f"Nothing is recommended: {report['why_none']}.", markup=False, style="bold")


def compare(first: Path, second: Path, anyway: bool, as_json: bool) -> None:
    """Print the combinations that two profiles share, with ratios.

    Raises `ConfigError` if their bundles or hops differ, except with `anyway`.
    """
    one, two = read_report(first), read_report(second)
    if apart := differences(one, two):
        mismatch = f"{first} and {second} are {' and '.join(apart)}"
        if not anyway:
            raise ConfigError(f"{mismatch}; profile the same bundle, or compare them nevertheless with --anyway.")
        say(f"{mismatch}: the ratios are not those of the devices alone")
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
    """A line of the comparison: the figures of both profiles and their ratio."""
    cells = []
    for name, (_, scale) in _FIGURES.items():
        both, ratio = (pair.first[name], pair.second[name]), pair.ratio(name)
        values = "→".join("–" if value is None else short(scale * value) for value in both)
        cells.append(values if ratio is None else f"{values} ×{ratio:.2f}")
    return [" ".join(map(str, pair.key)), *cells, " → ".join(pair.verdicts)]


def short(value: float) -> str:
    """Three significant digits, or all digits of a larger whole number."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    """A table of plain texts; a verdict in the last cell has its colour."""
    first, *others = head
    rows = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False, header_style="bold underline")
    rows.add_column(first, no_wrap=True)
    for name in others:
        rows.add_column(name, justify="left" if name.startswith("verdict") else "right")
    for line in lines:
        *cells, last = line
        rows.add_row(*map(Text, cells), Text(last, style=_STYLES.get(last, "")))
    return rows
