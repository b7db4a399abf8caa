"""Each verdict is given when it must be, and not otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_res.profiling.judge import Conditions, block_medians, judge, rank_correlation

QUIET = Conditions(others_cores=0.05, wait_share=0.02, clocks_mhz=(1800, 1790, 1800), temperatures_c=(50.0, 52.0))


def steady(hops: int = 250, spread: float = 0.05, seed: int = 0) -> NDArray[np.float64]:
    """Times around 100 µs, with an occasional hop of 2 ms, like real ones."""
    rng = np.random.default_rng(seed)
    times = 100 * np.exp(spread * rng.standard_normal(hops))
    times[rng.integers(0, hops, hops // 50)] = 2000
    return times


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_run_is_stable(seed: int) -> None:
    assert judge(list(steady(seed=seed)), QUIET).state == "stable"
    assert judge(list(steady(seed=seed)), Conditions()).state == "stable"  # with nothing known of the machine


def test_other_processes_are_noise() -> None:
    verdict = judge(list(steady()), Conditions(others_cores=0.9))
    assert verdict.state == "noisy"
    assert "0.90 cores (limit 0.2)" in verdict.why


def test_waiting_for_a_core_is_noise() -> None:
    verdict = judge(list(steady()), Conditions(others_cores=0.0, wait_share=0.5))
    assert verdict.state == "noisy"
    assert "waited" in verdict.why


def test_a_processor_slower_than_its_best_is_noise() -> None:
    conditions = Conditions(reference_us=90.0)
    verdict = judge(list(steady()), conditions, best_us=60.0)
    assert verdict.state == "noisy"
    assert "1.50 times as long as at its best" in verdict.why
    assert judge(list(steady()), conditions, best_us=85.0).state == "stable"
    assert judge(list(steady()), conditions).state == "stable"  # nothing to compare it with


def test_parts_that_differ_are_noise() -> None:
    times = steady()
    times[50:75] *= 1.5
    times[100:150] *= 1.6
    times[200:225] *= 1.4
    assert judge(list(times), QUIET).state == "noisy"


def test_one_part_that_differs_is_not_noise() -> None:
    times = steady()
    times[100:125] *= 1.5
    assert judge(list(times), QUIET).state == "stable"


@pytest.mark.parametrize("end", [1.5, 0.6])
def test_times_that_go_one_way_drift(end: float) -> None:
    verdict = judge(list(steady() * np.linspace(1, end, 250)), QUIET)
    assert verdict.state == "drifting"
    assert "first third" in verdict.why


def test_a_clock_that_falls_drifts() -> None:
    conditions = Conditions(clocks_mhz=(1800, 1500, 1200))
    assert judge(list(steady()), conditions).why == "the clock fell from 1800 to 1200 MHz"
    assert judge(list(steady()), Conditions(clocks_mhz=(1800, 1750))).state == "stable"


def test_throttling_comes_before_all_else() -> None:
    conditions = Conditions(others_cores=2.0, throttled=("under-voltage",))
    verdict = judge(list(steady() * np.linspace(1, 2, 250)), conditions)
    assert verdict.state == "throttled"
    assert verdict.why == "under-voltage"


def test_a_quota_throttles() -> None:
    assert judge(list(steady()), Conditions(stopped=3)).state == "throttled"
    assert judge(list(steady()), Conditions(stopped=1)).why.endswith("stopped it 1 time")


def test_a_run_of_one_hop_is_judged() -> None:
    assert judge([100.0], Conditions()).state == "stable"


def test_blocks_cover_the_run_in_order() -> None:
    assert block_medians(range(100)).tolist() == [4.5 + 10 * i for i in range(10)]
    assert block_medians([3.0, 1.0]).tolist() == [3.0, 1.0]


def test_rank_correlation() -> None:
    assert rank_correlation(np.array([1.0, 5.0, 6.0, 60.0])) == pytest.approx(1)
    assert rank_correlation(np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx(-1)
    assert rank_correlation(np.array([2.0, 2.0, 2.0])) == 0
    assert rank_correlation(np.array([1.0, 2.0])) == 0
