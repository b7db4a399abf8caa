"""What the times of samples say of those that are missing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_res.sources.iio.timeline import Timeline

MS = 1_000_000  # ns


def losses(times: list[int], rate_hz: int = 1000, batch: int = 10, elapsed_s: float | None = None) -> dict[int, int]:
    """Where samples are found to be missing, before the sample with that index, in batches that come in time."""
    timeline, found, at = Timeline(rate_hz, 1.0), {}, 0
    for first in range(0, len(times), batch):
        part = np.array(times[first : first + batch], np.int64)
        now_s = part[-1] / 1e9 if elapsed_s is None else elapsed_s * first
        for lost, samples in timeline.push(np.zeros((len(part), 1), np.float32), part, now_s):
            if lost:
                found[at] = lost
            at += len(samples)
    for lost, samples in timeline.push(np.zeros((1, 1), np.float32), None, now_s):  # so that none is held back
        if lost:
            found[at] = lost
        at += len(samples)
    assert at == len(times) + 1
    return found


def test_times_without_a_step_lose_nothing() -> None:
    assert losses([i * MS for i in range(1000)]) == {}


def test_a_step_is_a_loss() -> None:
    times = [i * MS for i in range(1000) if i not in (100, 313, 314, 315)]
    assert losses(times) == {100: 1, 312: 3}


def test_a_late_sample_is_not_a_loss() -> None:
    rng = np.random.default_rng(1)
    late = np.where(rng.random(2000) < 0.05, rng.uniform(0.5, 3.0, 2000), 0)  # of a busy machine's timer
    times = np.maximum.accumulate((np.arange(2000) + late) * MS).astype(int)
    assert losses(times.tolist()) == {}
    kept = np.delete(times, range(700, 705))
    assert losses(kept.tolist()) == {700: 5}


def test_a_sample_missing_after_late_ones() -> None:
    late = {97: 200_000, 98: 400_000, 99: 600_000}
    times = [i * MS + late.get(i, 0) for i in range(200) if i != 100]
    assert losses(times) == {100: 1}


def test_the_true_rate_need_not_be_the_declared_one() -> None:
    true = [round(i * MS * 1.04) for i in range(20000)]
    assert losses(true) == {}
    assert losses(true[:5000] + true[6000:]) == {5000: 1000}


def test_batches_with_one_time_each() -> None:
    times = [(i // 16) * 16 * MS for i in range(1600)]
    assert losses(times, batch=16) == {}
    assert losses(times[:800] + times[880:], batch=16) == {800: 80}


def test_a_clock_that_is_set_loses_nothing() -> None:
    for by in (3600, -3600):
        times = [i * MS + (by * 10**9 if i >= 500 else 0) for i in range(1000) if i != 700]
        assert losses(times, elapsed_s=0.001) == {700: 1}


def test_times_that_stand_still_are_ignored_but_a_silence_is_not() -> None:
    timeline = Timeline(100, 1.0)
    zeros, samples = np.zeros(5, np.int64), np.zeros((5, 1), np.float32)
    found = [lost for now_s in (0.0, 0.05, 0.1, 3.0, 3.05, 6.0) for lost, _ in timeline.push(samples, zeros, now_s)]
    assert found == [0, 0, 0, 285, 0, 290]


def test_after_an_interruption_at_least_one_sample_is_missing() -> None:
    timeline = Timeline(1000, 1.0)
    samples, times = np.zeros((10, 1), np.float32), np.arange(10) * MS
    assert [lost for lost, _ in timeline.push(samples, times, 0.0)] == [0]
    timeline.interrupted()
    assert [lost for lost, _ in timeline.push(samples, times + 10 * MS, 0.1)] == [1]
    timeline.interrupted()
    assert [lost for lost, _ in timeline.push(samples, times + 520 * MS, 0.6)] == [500]
    timeline.interrupted()
    assert [lost for lost, _ in timeline.push(samples, None, 1.1)] == [490]


def test_a_late_sample_is_held_back_until_later_ones_show_whether_any_are_missing() -> None:
    timeline = Timeline(1000, 1.0)
    samples, times = np.arange(10, dtype=np.float32)[:, np.newaxis], np.arange(10) * MS
    times[8:] += 2 * MS
    first = list(timeline.push(samples, times, 0.0))
    assert [(lost, len(piece)) for lost, piece in first] == [(0, 8)]
    second = list(timeline.push(samples, times[-1] + (1 + np.arange(10)) * MS, 0.01))
    assert [(lost, piece.ravel().tolist()) for lost, piece in second] == [(2, [8.0, 9.0, *range(10)])]
    late = list(timeline.push(samples[:2], times[-1] + np.array([14, 15]) * MS, 0.02))
    assert late == []
    timeline.interrupted()  # and nothing that is held back is forgotten
    end = [(lost, len(piece)) for lost, piece in timeline.push(samples, times + 60 * MS, 0.1)]
    assert end == [(3, 2), (33, 8), (2, 2)]


@given(
    st.sets(st.integers(1, 298), max_size=40),
    st.integers(1, 50),
    st.integers(0, 2**32),
)
def test_any_missing_samples_are_found_despite_jitter(missing: set[int], batch: int, seed: int) -> None:
    jitter = np.random.default_rng(seed).uniform(0, 0.2, 300)
    kept = [i for i in range(300) if i not in missing]
    times = [round((i + jitter[i]) * MS) for i in kept]
    expected = {j: kept[j] - kept[j - 1] - 1 for j in range(1, len(kept)) if kept[j] - kept[j - 1] > 1}
    assert losses(times, batch=batch) == expected
