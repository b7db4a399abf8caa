"""Small plots as SVG texts, for a page that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5")

_WIDTH, _LEFT, _RIGHT, _LINE = 860, 160, 120, 24


def ranges(lines: Sequence[tuple[str, Sequence[float], str]], unit: str) -> str:
    """A line each, of label, values and colour: a bar from first to last on a logarithmic axis, a dot at each."""
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
    """A line each: parts side by side, the same colour for the same part; below them what the colours are."""
    names = list(dict.fromkeys(name for _, found in lines for name in found))
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
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
    """Values in their order, from 0 to the largest."""
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
