"""Which engine, mode and number of threads to listen with, and why, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_res.profiling.rows import Row

_HOP_SHARE = 0.5  # the share of a hop that p99 may take; the rest is reserve
_ALIKE = 0.05  # costs that differ by less count as equal


@dataclass(frozen=True)
class Recommendation:
    """What to listen with; `reason` is a clause."""

    engine: str
    mode: str
    threads: int
    reason: str


def recommend(rows: Sequence[Row], hop_s: float) -> tuple[Recommendation | None, str]:
    """The row that uses least of the processor among those that are stable and keep up; or None, and why.

    Among rows within 5 % of that, the one with the fewest threads, then the least memory. None if an unstable row used
    less than every stable one, since disturbances only make a run slower.
    """
    ran = [row for row in rows if row.paced is not None]
    if not ran:
        return None, "no combination could be measured"
    trusted = [row for row in ran if row.verdict == "stable"]
    if not trusted:
        verdicts = ", ".join(sorted({row.verdict for row in ran}))
        return None, (f"no run was stable ({verdicts}); stop other programs, let the device cool, and profile again")
    able = [row for row in trusted if not misses(row) and p99_us(row) <= _HOP_SHARE * 1e6 * hop_s]
    if not able:
        best = min(trusted, key=p99_us)
        return None, (
            f"none keeps up; the fastest, {best.name}, takes {p99_us(best):.0f} µs at p99, more than {_HOP_SHARE:.0%} "
            f"of a hop of {1e6 * hop_s:.0f} µs: choose a smaller model or a longer hop"
        )
    least = min(share(row) for row in able)
    less = [row for row in ran if row.verdict != "stable" and share(row) * (1 + _ALIKE) < least]
    if less:
        disturbed = min(less, key=share)
        return None, (
            f"{disturbed.name} used {share(disturbed):.2%} of a core although it was {disturbed.verdict}, less than "
            f"any stable run ({least:.2%}); stop other programs, let the device cool, and profile again"
        )
    alike = [row for row in able if share(row) <= least * (1 + _ALIKE)]
    best = min(alike, key=lambda row: (row.threads, row.rss_bytes or 0, share(row)))
    others = sorted((row for row in able if row is not best), key=share)
    reason = (
        f"it uses {share(best):.2%} of a core"
        + (f", {others[0].name} {share(others[0]):.2%}" if others else "")
        + f"; p99 is {p99_us(best) / 1000:.2f} ms of a hop of {1000 * hop_s:g} ms"
    )
    doubtful = [row.name for row in ran if row.verdict != "stable"]
    if doubtful:
        reason += f" ({len(doubtful)} of {len(ran)} combinations were not stable: {'; '.join(doubtful)})"
    return Recommendation(best.engine, best.mode, best.threads, reason), ""


def share(row: Row) -> float:
    return row.paced.cpu_share if row.paced else 0.0


def p99_us(row: Row) -> float:
    return row.paced.p99_us if row.paced else 0.0


def misses(row: Row) -> int:
    return row.paced.misses if row.paced else 0
