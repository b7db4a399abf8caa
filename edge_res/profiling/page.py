"""A profile as a page with plots, in one file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from edge_res.profiling import tables
from edge_res.profiling.plots import ranges, series, stacks
from edge_res.profiling.report import Report
from edge_res.profiling.rows import Row

_COLOURS = {"stable": "#3ca951", "noisy": "#efb118", "drifting": "#ff8c42", "throttled": "#d62728", "failed": "#d62728"}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.1em; margin: 2em 0 .5em; }
svg { width: 100%; display: block; }
svg text { font-size: 11px; fill: #444; } .grid { stroke: #ddd; } table { border-collapse: collapse; width: 100%; }
td, th { text-align: right; padding: .2em .5em; border-bottom: 1px solid #eee; font-variant-numeric: tabular-nums; }
td:first-child, th:first-child { text-align: left; white-space: nowrap; }
.wide { margin-bottom: 1em; overflow-x: auto; }
.said { background: #f3f6fb; padding: .7em 1em; border-left: 4px solid #4269d0; }
ul { padding-left: 1.2em; } .small { color: #666; font-size: .85em; }
@media (prefers-color-scheme: dark) {
  body { background: #16181c; color: #ddd; } svg text { fill: #bbb; } .grid { stroke: #383c44; }
  td, th { border-color: #2a2d33; } .said { background: #20242c; } .small { color: #999; }
}
"""


def page(report: Report) -> str:
    """The page of a report, as `make_report` gives it."""
    rows = report["rows"]
    ran = [row for row in rows if row.get("paced")]
    measured = [Row.from_dict(row) for row in rows]
    device, bundle = report["device"], report["bundle"]
    parts = [
        f"<h1>{escape(bundle['name'])} on {escape(device['name'])}</h1>",
        f"<p class=small>{escape(particulars(report))}</p>",
        f"<p class=said>{escape(said(report))}</p>",
        "<h2>The combinations</h2>",
        *(table(head, lines) for head, lines in tables.all_of(measured)),
        f"<p class=small>{escape(tables.LEGEND)}</p>",
        "<ul>" + "".join(f"<li>{escape(told)}" for told in tables.remarks(measured, device["rail"])) + "</ul>",
    ]
    if ran:
        bars = [(label(row), [row["p50_us"], row["p95_us"], row["p99_us"]], colour(row)) for row in ran]
        unpaced = [
            (label(row), [row["unpaced"][name] for name in ("p50_us", "p95_us", "p99_us")], colour(row["unpaced"]))
            for row in ran
        ]
        parts += [
            "<h2>Paced, at the real hop: p50, p95 and p99</h2>",
            ranges(bars, "µs"),
            "<h2>Unpaced, one hop after the other: p50, p95 and p99</h2>",
            ranges(unpaced, "µs"),
            "<h2>Stages of a hop, unpaced</h2>",
            stacks([(label(row), row["stages_us"]) for row in ran], "µs"),
        ]
    told = [(label(row), row["ops_us"]) for row in ran if row["ops_us"]]
    if told:
        parts += ["<h2>Operators, where the engine tells (its profiler slows them)</h2>", stacks(told, "µs")]
    parts += [plot for row in ran for plot in over_time(row)]
    data = json.dumps(report).replace("</", "<\\/")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(bundle['name'])} on {escape(device['name'])}</title><style>{_STYLE}</style>\n"
        + "\n".join(parts)
        + f'\n<script type="application/json" id="profile">{data}</script></html>\n'
    )


def said(report: Report) -> str:
    """What is recommended, or why nothing is."""
    found = report["recommendation"]
    if found is None:
        return f"Nothing is recommended: {report['why_none']}."
    return f"Recommended: {found['engine']}, {found['mode']}, threads: {found['threads']}: {found['reason']}."


def particulars(report: Report) -> str:
    device, bundle = report["device"], report["bundle"]
    return (
        f"A hop of {bundle['hop_ms']:g} ms, a window of {bundle['window_ms']:g} ms; {device['system']}, Python "
        f"{device['python']}; edge-res {report['version']}, {report['made']}."
    )


def over_time(row: dict[str, Any]) -> list[str]:
    """The paced hops of a row in their order, and what the sensors said meanwhile."""
    seen = row["paced"]["conditions"]
    found = [f"<h2>{escape(label(row))}: {escape(row['verdict'])}, {escape(row['why'])}</h2>"]
    found.append(series(row["hops_us"], colour(row), "µs"))
    for name, unit in (("temperatures_c", "°C"), ("clocks_mhz", "MHz")):
        if len(seen[name]) > 1:
            found.append(series(seen[name], "#888", unit))
    return found


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of texts; a verdict has its colour."""
    found = ["<div class=wide><table><tr>", *(f"<th>{escape(name)}" for name in head)]
    for line in lines:
        found.append("<tr>")
        for cell in line:
            style = f" style='color:{_COLOURS[cell]}'" if cell in _COLOURS else ""
            found.append(f"<td{style}>{escape(cell)}")
    return "".join([*found, "</table></div>"])


def label(row: dict[str, Any]) -> str:
    return f"{row['engine']} {row['mode']} {row['threads']}"


def colour(row: dict[str, Any]) -> str:
    return _COLOURS.get(row["verdict"], "#888")
