"""Whether the times of a run can be trusted: stable, noisy, drifting or throttled, and why.

The limits come from measurements, see `docs/explanation/profile.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["stable", "noisy", "drifting", "throttled"]

BLOCKS = 10  # parts of a run that are compared with each other
OTHERS_CORES = 0.2  # the most that other processes may use, in cores
WAIT_SHARE = 0.15  # the longest that the run may wait for a core, as a share of the time that it ran
SPREAD = 0.10  # the largest spread of the middle half of the blocks' medians
DRIFT = 0.10  # the largest change from the first third of the blocks to the last, if they go one way
_ONE_WAY = 0.8  # least rank correlation of the blocks' medians with time to go one way
CLOCK_FALL = 0.10  # the most that the clock may fall within a run
SLOWER = 0.10  # the most that the reference may exceed its best time


@dataclass(frozen=True)
class Conditions:
    """The state of the machine while a run was measured; None or () if unknown.

    `others_cores` is the time of all other processes and of the hypervisor, in cores; `wait_share` is how long the run
    was ready and waited for a core, over how long it ran; `stopped` is how often its control group's quota stopped it;
    `throttled` holds sentences about what slowed the processor; clocks are means over the cores; `reference_us` is the
    time that a fixed piece of work took.
    """

    others_cores: float | None = None
    wait_share: float | None = None
    stopped: int = 0
    throttled: tuple[str, ...] = ()
    clocks_mhz: tuple[float, ...] = ()
    temperatures_c: tuple[float, ...] = ()
    power_w: float | None = None
    reference_us: float | None = None


@dataclass(frozen=True)
class Verdict:
    state: State
    why: str


def judge(hops_us: Sequence[float], conditions: Conditions, best_us: float | None = None) -> Verdict:
    """The verdict on a run, by its most serious fault; `best_us` is the shortest known time of the reference."""
    if conditions.throttled:
        return Verdict("throttled", "; ".join(conditions.throttled))
    if conditions.stopped:
        times = f"{conditions.stopped} time{'s' * (conditions.stopped > 1)}"
        return Verdict("throttled", f"the control group's processor quota stopped it {times}")
    others, wait = conditions.others_cores, conditions.wait_share
    if others is not None and others > OTHERS_CORES:
        return Verdict("noisy", f"other processes used {others:.2f} cores (limit {OTHERS_CORES:g})")
    if wait is not None and wait > WAIT_SHARE:
        return Verdict("noisy", f"it waited for a core {wait:.0%} as long as it ran (limit {WAIT_SHARE:.0%})")
    slower = conditions.reference_us / best_us if conditions.reference_us and best_us else 1.0
    if slower > 1 + SLOWER:
        return Verdict("noisy", f"the processor took {slower:.2f} times as long as at its best here, cause unknown")
    clocks = conditions.clocks_mhz
    if clocks and clocks[-1] < (1 - CLOCK_FALL) * clocks[0]:
        return Verdict("drifting", f"the clock fell from {clocks[0]:.0f} to {clocks[-1]:.0f} MHz")
    medians = block_medians(hops_us)
    third = max(1, len(medians) // 3)
    change = float(np.median(medians[-third:]) / np.median(medians[:third])) - 1
    if abs(change) > DRIFT and abs(rank_correlation(medians)) >= _ONE_WAY:
        return Verdict(
            "drifting", f"the median hop changed by {change:+.0%} from the first third of the run to the last"
        )
    spread = spread_of(medians)
    if spread > SPREAD:
        return Verdict("noisy", f"the medians of its parts differ by {spread:.0%} (limit {SPREAD:.0%})")
    return Verdict("stable", f"the medians of its parts differ by {spread:.0%}")


def block_medians(hops_us: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians of up to `BLOCKS` equal parts of a run, in order."""
    parts = np.array_split(np.array(hops_us, np.float64), max(1, min(BLOCKS, len(hops_us))))
    return np.array([np.median(part) for part in parts])


def spread_of(medians: NDArray[np.float64]) -> float:
    """The interquartile range of the medians, as a share of their median."""
    low, high = np.percentile(medians, [25, 75])
    return float((high - low) / np.median(medians))


def rank_correlation(values: NDArray[np.float64]) -> float:
    """Spearman's, of values with their order: 1 if they only rise, -1 if they only fall; 0 for fewer than 3."""
    if len(values) < 3 or np.ptp(values) == 0:
        return 0.0
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])
