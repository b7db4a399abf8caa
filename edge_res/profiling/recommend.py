"""Which engine, mode and threads to listen with, and why in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_res.profiling.rows import Row

_HOP_SHARE = 0.5  # of the hop that the slowest of 100 decisions may take: the rest is for what else happens
_ALIKE = 0.05  # costs that are not further apart are the same


@dataclass(frozen=True)
class Recommendation:
    engine: str
    mode: str
    threads: int
    reason: str


def recommend(rows: Sequence[Row], hop_s: float) -> tuple[Recommendation | None, str]:
    """The row that takes least of the processor, of those whose figures can be trusted and that keep up; or why none.

    Of rows that take as much, to 5 %, the one with fewer threads, then the one with less memory. None where a row that
    cannot be trusted took less than all that can: what disturbs a run only makes it slower.
    """
    ran = [row for row in rows if row.paced is not None]
    if not ran:
        return None, "no combination could be measured"
    trusted = [row for row in ran if row.verdict == "stable"]
    if not trusted:
        told = ", ".join(sorted({row.verdict for row in ran}))
        return None, (
            f"no run was stable, they were {told}; end what else runs, let the device cool, and profile again"
        )
    able = [row for row in trusted if not misses(row) and p99_us(row) <= _HOP_SHARE * 1e6 * hop_s]
    if not able:
        best = min(trusted, key=p99_us)
        return None, (
            f"none keeps up; the nearest, {best.name}, takes {p99_us(best):.0f} µs at p99 of a "
            f"hop of {1e6 * hop_s:.0f} µs, and at most {_HOP_SHARE:.0%} of it leaves room: choose a smaller model or a "
            "longer hop"
        )
    least = min(share(row) for row in able)
    less = [row for row in ran if row.verdict != "stable" and share(row) * (1 + _ALIKE) < least]
    if less:
        seemed = min(less, key=share)
        return None, (
            f"{seemed.name} took {share(seemed):.2%} of a core though it was {seemed.verdict}, and what could be "
            f"judged at least {least:.2%}; end what else runs, let the device cool, and profile again"
        )
    alike = [row for row in able if share(row) <= least * (1 + _ALIKE)]
    best = min(alike, key=lambda row: (row.threads, row.rss_bytes or 0, share(row)))
    others = sorted((row for row in able if row is not best), key=share)
    reason = (
        f"it takes {share(best):.2%} of a core"
        + (f", {others[0].name} {share(others[0]):.2%}" if others else "")
        + f"; the slowest of 100 decisions is there after {p99_us(best) / 1000:.2f} of {1000 * hop_s:g} ms"
    )
    doubtful = [row.name for row in ran if row.verdict != "stable"]
    if doubtful:
        reason += f" ({len(doubtful)} of {len(ran)} combinations could not be judged: {'; '.join(doubtful)})"
    return Recommendation(best.engine, best.mode, best.threads, reason), ""


def share(row: Row) -> float:
    return row.paced.cpu_share if row.paced else 0.0


def p99_us(row: Row) -> float:
    return row.paced.p99_us if row.paced else 0.0


def misses(row: Row) -> int:
    return row.paced.misses if row.paced else 0
