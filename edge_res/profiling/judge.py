"""Whether the times of a run can be trusted: stable, noisy, drifting or throttled, and why.

The criteria are measured, none is a guess at what else might run: see `docs/explanation/profile.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["stable", "noisy", "drifting", "throttled"]

BLOCKS = 10  # that a run is cut into, to see whether its first part is like its last
OTHERS_CORES = 0.2  # what others may use of the cores, in cores
WAIT_SHARE = 0.15  # how long the run may have waited for a core, as a share of how long it ran
SPREAD = 0.10  # how far the middle half of the blocks' medians may be apart
DRIFT = 0.10  # how far the last third of the blocks may be from the first, if they go one way
_ONE_WAY = 0.8  # rank correlation of the blocks' medians with time
CLOCK_FALL = 0.10  # how far the clocks may fall within a run
SLOWER = 0.10  # how much longer than ever before the reference may have taken


@dataclass(frozen=True)
class Conditions:
    """What was seen of the machine while a run was measured; None and () where it does not tell.

    `others_cores` is the time of all other processes and of the hypervisor, in cores; `wait_share` how long the run was
    ready and waited for a core, over how long it ran; `stopped` how often its control group's quota stopped it;
    `throttled` sentences on what slowed the processor; clocks are the mean of the cores';
    `reference_us` is how long a piece of work took that never changes.
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
    """The first of the faults that is there, the gravest first; `best_us` is the shortest reference that is known."""
    if conditions.throttled:
        return Verdict("throttled", "; ".join(conditions.throttled))
    if conditions.stopped:
        times = f"{conditions.stopped} time{'s' * (conditions.stopped > 1)}"
        return Verdict("throttled", f"the control group's processor quota stopped it {times}")
    others, wait = conditions.others_cores, conditions.wait_share
    if others is not None and others > OTHERS_CORES:
        return Verdict("noisy", f"other processes used {others:.2f} cores meanwhile, at most {OTHERS_CORES:g} may be")
    if wait is not None and wait > WAIT_SHARE:
        return Verdict("noisy", f"it waited for a core {wait:.0%} as long as it ran, at most {WAIT_SHARE:.0%} may be")
    slower = conditions.reference_us / best_us if conditions.reference_us and best_us else 1.0
    if slower > 1 + SLOWER:
        return Verdict(
            "noisy", f"the processor was {slower:.2f} times slower than it has been here, whatever slowed it"
        )
    clocks = conditions.clocks_mhz
    if clocks and clocks[-1] < (1 - CLOCK_FALL) * clocks[0]:
        return Verdict("drifting", f"the clock fell from {clocks[0]:.0f} to {clocks[-1]:.0f} MHz")
    medians = block_medians(hops_us)
    third = max(1, len(medians) // 3)
    change = float(np.median(medians[-third:]) / np.median(medians[:third])) - 1
    if abs(change) > DRIFT and abs(rank_correlation(medians)) >= _ONE_WAY:
        return Verdict("drifting", f"the median hop went {change:+.0%} from the first third of the run to the last")
    spread = spread_of(medians)
    if spread > SPREAD:
        return Verdict("noisy", f"the medians of its parts are {spread:.0%} apart, at most {SPREAD:.0%} may be")
    return Verdict("stable", f"the medians of its parts are {spread:.0%} apart")


def block_medians(hops_us: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians of up to `BLOCKS` equal parts of a run, in order."""
    parts = np.array_split(np.array(hops_us, np.float64), max(1, min(BLOCKS, len(hops_us))))
    return np.array([np.median(part) for part in parts])


def spread_of(medians: NDArray[np.float64]) -> float:
    """How far the middle half of the medians are apart, as a share of their median."""
    low, high = np.percentile(medians, [25, 75])
    return float((high - low) / np.median(medians))


def rank_correlation(values: NDArray[np.float64]) -> float:
    """Spearman's, of values with their order: 1 where they only rise, -1 where they only fall; 0 of fewer than 3."""
    if len(values) < 3 or np.ptp(values) == 0:
        return 0.0
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])
