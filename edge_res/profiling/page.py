"""A profile as a web page with tables and SVG plots, in one self-contained file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from edge_res.profiling import tables
from edge_res.profiling.report import Report
from edge_res.profiling.rows import Row

_VERDICTS = {
    "stable": "#3ca951",
    "noisy": "#efb118",
    "drifting": "#ff8c42",
    "throttled": "#d62728",
    "failed": "#d62728",
}
_PARTS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5")  # colours of stacks
_WIDTH, _LEFT, _RIGHT, _LINE = 860, 160, 120, 24  # of a plot, its margins and a line in it
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.1em; margin: 2em 0 .5em; }
svg { width: 100%; display: block; }
svg text { font-size: 11px; fill: #444; } .grid { stroke: #ddd; } table { border-collapse: collapse; width: 100%; }
td, th { text-align: right; padding: .2em .5em; border-bottom: 1px solid #eee; font-variant-numeric: tabular-nums; }
td:first-child, th:first-child { text-align: left; white-space: nowrap; }
.wide { margin-bottom: 1em; overflow-x: auto; }
.recommended { background: #f3f6fb; padding: .7em 1em; border-left: 4px solid #4269d0; }
ul { padding-left: 1.2em; } .small { color: #666; font-size: .85em; }
@media (prefers-color-scheme: dark) {
  body { background: #16181c; color: #ddd; } svg text { fill: #bbb; } .grid { stroke: #383c44; }
  td, th { border-color: #2a2d33; } .recommended { background: #20242c; } .small { color: #999; }
}
"""


def page(report: Report) -> str:
    """The HTML page of a report, as `make_report` returns it."""
    rows = report["rows"]
    ran = [row for row in rows if row.get("paced")]
    measured = [Row.from_dict(row) for row in rows]
    device, bundle = report["device"], report["bundle"]
    parts = [
        f"<h1>{escape(bundle['name'])} on {escape(device['name'])}</h1>",
        f"<p class=small>{escape(particulars(report))}</p>",
        f"<p class=recommended>{escape(recommended(report))}</p>",
        "<h2>Combinations</h2>",
        *(table(head, lines) for head, lines in tables.all_of(measured)),
        f"<p class=small>{escape(tables.LEGEND)}</p>",
        "<ul>" + "".join(f"<li>{escape(remark)}" for remark in tables.remarks(measured, device["rail"])) + "</ul>",
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
            "<h2>Unpaced, one hop right after another: p50, p95 and p99</h2>",
            ranges(unpaced, "µs"),
            "<h2>Stages of a hop, unpaced</h2>",
            stacks([(label(row), row["stages_us"]) for row in ran], "µs"),
        ]
    operators = [(label(row), row["ops_us"]) for row in ran if row["ops_us"]]
    if operators:
        parts += ["<h2>Operators, by the engine's profiler, which slows them</h2>", stacks(operators, "µs")]
    parts += [plot for row in ran for plot in over_time(row)]
    data = json.dumps(report).replace("</", "<\\/")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(bundle['name'])} on {escape(device['name'])}</title><style>{_STYLE}</style>\n"
        + "\n".join(parts)
        + f'\n<script type="application/json" id="profile">{data}</script></html>\n'
    )


def recommended(report: Report) -> str:
    """The recommendation, or why there is none."""
    found = report["recommendation"]
    if found is None:
        return f"Nothing is recommended: {report['why_none']}."
    return f"Recommended: {found['engine']}, {found['mode']}, threads: {found['threads']}: {found['reason']}."


def particulars(report: Report) -> str:
    """The bundle, the system and the versions, in a line."""
    device, bundle = report["device"], report["bundle"]
    return (
        f"A hop of {bundle['hop_ms']:g} ms, a window of {bundle['window_ms']:g} ms; {device['system']}, Python "
        f"{device['python']}; edge-res {report['version']}, {report['made']}."
    )


def over_time(row: dict[str, Any]) -> list[str]:
    """Plots of a row's paced hops in order, and of the sensors meanwhile."""
    seen = row["paced"]["conditions"]
    found = [f"<h2>{escape(label(row))}: {escape(row['verdict'])}, {escape(row['why'])}</h2>"]
    found.append(series(row["hops_us"], colour(row), "µs"))
    for name, unit in (("temperatures_c", "°C"), ("clocks_mhz", "MHz")):
        if len(seen[name]) > 1:
            found.append(series(seen[name], "#888", unit))
    return found


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """An HTML table of texts; a verdict has its colour."""
    found = ["<div class=wide><table><tr>", *(f"<th>{escape(name)}" for name in head)]
    for line in lines:
        found.append("<tr>")
        for cell in line:
            style = f" style='color:{_VERDICTS[cell]}'" if cell in _VERDICTS else ""
            found.append(f"<td{style}>{escape(cell)}")
    return "".join([*found, "</table></div>"])


def label(row: dict[str, Any]) -> str:
    return f"{row['engine']} {row['mode']} {row['threads']}"


def colour(row: dict[str, Any]) -> str:
    return _VERDICTS.get(row["verdict"], "#888")


def ranges(lines: Sequence[tuple[str, Sequence[float], str]], unit: str) -> str:
    """A plot of lines `(label, values, colour)`: a bar from first to last value, log scale, with a dot at each."""
    values = [value for _, found, _ in lines for value in found if value > 0]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
    high = high if high > low else 10 * low
    height = _LINE * len(lines) + 30

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(max(value, low) / low) / math.log(high / low)

    parts = []
    for tick in range(round(math.log10(low)), round(math.log10(high)) + 1):
        at = x(10**tick)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height - 22}" class="grid"/>')
        parts.append(text(at, height - 6, f"{10**tick:g} {unit}", "middle"))
    for i, (label, found, colour) in enumerate(lines):
        y = _LINE * i + _LINE / 2 + 2
        parts.append(text(_LEFT - 8, y + 4, label, "end"))
        parts.append(
            f'<line x1="{x(found[0]):.1f}" x2="{x(found[-1]):.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
            'stroke-width="4" opacity="0.4"/>'
        )
        parts += [f'<circle cx="{x(value):.1f}" cy="{y}" r="4" fill="{colour}"/>' for value in found]
        parts.append(text(x(found[-1]) + 8, y + 4, f"{found[0]:.0f} … {found[-1]:.0f}", "start"))
    return svg(height, parts)


def stacks(lines: Sequence[tuple[str, Mapping[str, float]]], unit: str) -> str:
    """A plot of lines `(label, parts)`: parts side by side, each part in its own colour, with a legend below."""
    names = list(dict.fromkeys(name for _, found in lines for name in found))
    colour = {name: _PARTS[i % len(_PARTS)] for i, name in enumerate(names)}
    most = max(sum(found.values()) for _, found in lines)
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    parts = []
    for i, (label, found) in enumerate(lines):
        at, y = float(_LEFT), _LINE * i + 3
        parts.append(text(_LEFT - 8, y + 13, label, "end"))
        for name, value in found.items():
            width = max(0.0, value) * scale
            parts.append(
                f'<rect x="{at:.1f}" y="{y}" width="{width:.1f}" height="{_LINE - 6}" fill="{colour[name]}">'
                f"<title>{escape(name)} {value:.1f} {escape(unit)}</title></rect>"
            )
            at += width
        parts.append(text(at + 6, y + 13, f"{sum(found.values()):.0f} {unit}", "start"))
    y, at = _LINE * len(lines) + 16, float(_LEFT)
    for name in names:
        parts.append(f'<rect x="{at:.1f}" y="{y - 9}" width="10" height="10" fill="{colour[name]}"/>')
        parts.append(text(at + 14, y, name, "start"))
        at += 26 + 7 * len(name)
    return svg(y + 10, parts)


def series(values: Sequence[float], colour: str, unit: str) -> str:
    """A plot of values in order, from 0 to the largest."""
    height, most = 70, max(values)
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(values) - 1)
    points = " ".join(
        f"{_LEFT + i * step:.1f},{height - 6 - (height - 16) * value / most:.1f}" for i, value in enumerate(values)
    )
    return svg(
        height,
        [
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height - 6}" y2="{height - 6}" class="grid"/>',
            text(_LEFT - 8, 14, f"{most:.0f} {unit}", "end"),
            text(_LEFT - 8, height - 4, "0", "end"),
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>',
        ],
    )


def text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(height: float, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img">{"".join(parts)}</svg>'
