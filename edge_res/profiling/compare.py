"""Two profiles side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_res.profiling.report import Report

FIGURES = ("p50_us", "p99_us", "cpu_share", "rss_bytes")

Key = tuple[str, str, int]  # engine, mode, threads


@dataclass(frozen=True)
class Pair:
    """A combination that both profiles have: figures by name, and how much larger the second is; None: not known."""

    key: Key
    first: dict[str, float | None]
    second: dict[str, float | None]
    verdicts: tuple[str, str]

    def ratio(self, figure: str) -> float | None:
        one, two = self.first[figure], self.second[figure]
        return two / one if one and two is not None else None


def differences(one: Report, two: Report) -> list[str]:
    """What makes figures of the two not comparable: another model, another hop."""
    found = []
    if one["bundle"].get("sha256") != two["bundle"].get("sha256"):
        names = one["bundle"].get("name"), two["bundle"].get("name")
        found.append(f"of two bundles, {names[0]} and {names[1]}, whose models differ")
    if one["bundle"].get("hop_ms") != two["bundle"].get("hop_ms"):
        found.append(f"of hops of {one['bundle'].get('hop_ms')} and {two['bundle'].get('hop_ms')} ms")
    return found


def pairs(one: Report, two: Report) -> list[Pair]:
    """The combinations that are in both, in the order of the first."""
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
