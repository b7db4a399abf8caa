"""Two profiles side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_res.profiling.report import Report

FIGURES = ("p50_us", "p99_us", "cpu_share", "rss_bytes")

Key = tuple[str, str, int]  # engine, mode, threads


@dataclass(frozen=True)
class Pair:
    """A combination in both profiles: figures by name, None if unknown, and their ratio."""

    key: Key
    first: dict[str, float | None]
    second: dict[str, float | None]
    verdicts: tuple[str, str]

    def ratio(self, figure: str) -> float | None:
        """The second figure over the first; None if unknown."""
        one, two = self.first[figure], self.second[figure]
        return two / one if one and two is not None else None


def differences(one: Report, two: Report) -> list[str]:
    """Why the two cannot be compared: different models, different hops; each to follow "are"."""
    found = []
    if one["bundle"].get("sha256") != two["bundle"].get("sha256"):
        names = one["bundle"].get("name"), two["bundle"].get("name")
        found.append(f"of the bundles {names[0]} and {names[1]} with different models")
    if one["bundle"].get("hop_ms") != two["bundle"].get("hop_ms"):
        found.append(f"with hops of {one['bundle'].get('hop_ms')} and {two['bundle'].get('hop_ms')} ms")
    return found


def pairs(one: Report, two: Report) -> list[Pair]:
    """The combinations in both, in the order of the first."""
    others = {key_of(row): row for row in two["rows"]}
    return [
        Pair(
            key_of(row),
            figures(row),
            figures(others[key_of(row)]),
            (row["verdict"], others[key_of(row)]["verdict"]),
        )
        for row in one["rows"]
        if key_of(row) in others
    ]


def key_of(row: dict[str, Any]) -> Key:
    return row["engine"], row["mode"], row["threads"]


def figures(row: dict[str, Any]) -> dict[str, float | None]:
    return {name: value if isinstance(value := row.get(name), (int, float)) else None for name in FIGURES}
