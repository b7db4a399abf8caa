"""Samples counted against the clock, on simulated callbacks: jitter, drift, losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_res.sources.mic.continuity import Continuity, Loss, Pace

RATE_HZ = 16000
BLOCK = 160  # 10 ms
Callback = tuple[float, int, int, bool]  # when it came, first sample, end, whether it was flagged


def callbacks(
    seconds: float, jitter: Callable[[], float] = lambda: 0.0, ppm: float = 0.0, start_s: float = 1000.0
) -> Iterator[Callback]:
    """A device whose clock is `ppm` slow, and whose callbacks come late by a varying time, in order."""
    came_s = 0.0
    for start in range(0, round(seconds * RATE_HZ), BLOCK):
        end = start + BLOCK
        came_s = max(came_s, start_s + end / RATE_HZ * (1 + ppm * 1e-6) + jitter())
        yield came_s, start, end, False


def without(told: Iterator[Callback], at: int, lost: int) -> Iterator[Callback]:
    """The same, but `lost` samples before `at` of those that come are missing."""
    for came_s, start, end, broken in told:
        if end <= at:
            yield came_s, start, end, broken
        elif start >= at + lost:
            yield came_s, start - lost, end - lost, broken


def losses(told: Iterator[Callback], watch: Continuity) -> list[Loss]:
    for callback in told:
        watch.push(*callback)
    return list(watch.losses)


def bursts(seed: int, longest_s: float) -> Callable[[], float]:
    random = np.random.default_rng(seed)
    return lambda: float(random.uniform(0, 0.002) + (random.random() < 0.005) * random.uniform(0, longest_s))


@pytest.mark.parametrize("ppm", [-500, 0, 500, 5000])
@pytest.mark.parametrize("longest_s", [0.01, 0.3])
def test_neither_drift_nor_jitter_is_a_loss(ppm: float, longest_s: float) -> None:
    watch = Continuity(RATE_HZ)
    assert losses(callbacks(600, bursts(1, longest_s), ppm), watch) == []
    assert watch.sure > 599 * RATE_HZ


def test_a_callback_that_is_only_late_is_not_a_loss() -> None:
    watch = Continuity(RATE_HZ)
    for came_s, start, end, broken in callbacks(10):
        stalled = 5 <= came_s - 1000 < 5.4  # a stall of 0.4 s, then all at once
        watch.push(1005.4 if stalled else came_s, start, end, broken)
        assert watch.sure == (end if not stalled or came_s >= 1005.375 else 5 * RATE_HZ - BLOCK), came_s
    assert not watch.losses


def test_a_delay_that_is_caught_up_slowly_is_not_a_loss() -> None:
    watch = Continuity(RATE_HZ)
    for came_s, start, end, broken in callbacks(10):
        behind_s = max(0.0, 0.4 - 0.4 * (came_s - 1005)) if came_s >= 1005 else 0.0  # even after 1 s
        watch.push(came_s + behind_s, start, end, broken)
    assert not watch.losses


def test_samples_are_not_held_forever() -> None:
    watch = Continuity(RATE_HZ)
    for came_s, start, end, broken in callbacks(20):
        behind_s = max(0.0, 1 - 0.1 * (came_s - 1005)) if came_s >= 1005 else 0.0  # even after 10 s
        watch.push(came_s + behind_s, start, end, broken)
        assert end - watch.sure < 2 * RATE_HZ


@pytest.mark.parametrize("at", range(8 * RATE_HZ, 9 * RATE_HZ, 5 * BLOCK))
def test_jitter_before_a_loss_does_not_change_its_length(at: int) -> None:
    """Wherever it is among callbacks that come six at a time."""
    watch = Continuity(RATE_HZ)
    for came_s, start, end, broken in without(callbacks(12), at, 5 * BLOCK):
        watch.push(came_s - came_s % 0.06 + 0.06, start, end, broken)
    (loss,) = watch.losses
    assert abs(loss.lost - 5 * BLOCK) <= 0.011 * RATE_HZ


@pytest.mark.parametrize("lost", [400, 480, 2 * RATE_HZ, 100 * RATE_HZ])
@pytest.mark.parametrize("ppm", [-500, 500])
def test_a_step_of_the_delay_is_a_loss_at_that_place(lost: int, ppm: float) -> None:
    lost = lost // BLOCK * BLOCK + BLOCK
    at = 8 * RATE_HZ
    watch = Continuity(RATE_HZ)
    (loss,) = losses(without(callbacks(200, bursts(2, 0.01), ppm), at, lost), watch)
    assert abs(loss.lost - lost) < 0.003 * RATE_HZ + lost * 6e-4  # drift goes on while nothing comes
    assert abs(loss.at - at) <= 3 * BLOCK


def test_samples_after_a_loss_are_held_until_it_is_certain() -> None:
    at, lost = 8 * RATE_HZ, RATE_HZ
    watch = Continuity(RATE_HZ)
    for came_s, start, end, broken in without(callbacks(20), at, lost):
        watch.push(came_s, start, end, broken)
        if not watch.losses:
            assert watch.sure <= at
            assert end < at + 0.6 * RATE_HZ
    assert list(watch.losses) == [Loss(at, lost)]


def test_samples_that_waited_during_a_stall_come_before_the_loss() -> None:
    """A queue of 2 s filled up while nobody read it for 3 s: the third second is lost, not the first."""
    watch = Continuity(RATE_HZ)
    stall, queue = 5 * RATE_HZ, 2 * RATE_HZ
    for came_s, start, end, _ in callbacks(20):
        waited = max(came_s, 1008.0 + (start - stall) * 1e-7) if start >= stall else came_s
        if start < stall + queue:
            watch.push(waited, start, end, False)
        elif start >= 8 * RATE_HZ:
            watch.push(came_s, start - RATE_HZ, end - RATE_HZ, False)
    (loss,) = watch.losses
    assert abs(loss.lost - RATE_HZ) <= 0.003 * RATE_HZ
    assert abs(loss.at - (stall + queue)) <= 2 * BLOCK


def test_an_interruption_is_a_loss_however_short() -> None:
    watch = Continuity(RATE_HZ)
    flagged = ((came_s, start, end, start == 5 * RATE_HZ) for came_s, start, end, _ in callbacks(10))
    assert losses(flagged, watch) == [Loss(5 * RATE_HZ, 1)]


def test_an_interruption_is_as_long_as_the_clock_says_at_the_place_where_it_was_flagged() -> None:
    watch = Continuity(RATE_HZ)
    missing = without(callbacks(10, bursts(3, 0.01)), 5 * RATE_HZ, 3 * BLOCK // 2 * 2)
    flagged = ((came_s, start, end, start == 5 * RATE_HZ) for came_s, start, end, _ in missing)
    (loss,) = losses(flagged, watch)
    assert loss.at == 5 * RATE_HZ
    assert abs(loss.lost - 3 * BLOCK) <= 0.002 * RATE_HZ


def test_a_late_callback_before_an_interruption_does_not_shorten_it() -> None:
    watch = Continuity(RATE_HZ)
    at, lost = 5 * RATE_HZ, 2 * RATE_HZ
    for came_s, start, end, _ in without(callbacks(12), at, lost):
        watch.push(came_s + 0.03 * (end == at), start, end, start == at)
    assert list(watch.losses) == [Loss(at, lost)]


@pytest.mark.parametrize("flagged", [False, True])
def test_a_late_callback_before_a_silence_is_not_a_separate_loss(flagged: bool) -> None:
    watch = Continuity(RATE_HZ)
    at, lost = 5 * RATE_HZ, 2 * RATE_HZ
    for came_s, start, end, _ in without(callbacks(12), at, lost):
        watch.push(came_s + 0.025 * (end == at), start, end, flagged and end == at)
    (loss,) = watch.losses
    assert loss == Loss(at - BLOCK * flagged, lost)


def test_samples_of_a_device_with_rare_callbacks_are_not_held_forever() -> None:
    watch = Continuity(RATE_HZ)
    at, lost = 5 * RATE_HZ, RATE_HZ
    for came_s, start, end, _ in without(callbacks(12), at, lost):
        came_s = came_s - came_s % 0.3 + 0.3
        watch.push(came_s, start, end, False)
        assert end - watch.sure < 2.2 * RATE_HZ
    assert abs(sum(loss.lost for loss in watch.losses) - lost) <= 0.011 * RATE_HZ


def test_one_interruption_after_the_other() -> None:
    watch = Continuity(RATE_HZ)
    at = [5 * RATE_HZ, 5 * RATE_HZ + 4 * BLOCK, 5 * RATE_HZ + 5 * BLOCK]
    told = callbacks(20)
    for place in at:
        told = without(told, place, RATE_HZ)
    for came_s, start, end, _ in told:
        watch.push(came_s, start, end, start in at)
        assert watch.sure >= max([0, *(place for place in at if place < start)])
    assert list(watch.losses) == [Loss(place, RATE_HZ) for place in at]


def test_before_anything_is_known_an_interruption_counts_as_one_sample() -> None:
    watch = Continuity(RATE_HZ)
    flagged = ((came_s, start, end, start == 0) for came_s, start, end, _ in callbacks(5))
    assert losses(flagged, watch) == [Loss(0, 1)]


def test_at_the_end_a_doubtful_interruption_is_a_loss_and_a_late_callback_is_not() -> None:
    at, lost = 5 * RATE_HZ, RATE_HZ
    for flagged in (True, False):
        watch = Continuity(RATE_HZ)
        for came_s, start, end, _ in without(callbacks(6.3), at, lost):  # ends 0.3 s behind it
            watch.push(came_s, start, end, flagged and start == at)
        assert watch.sure <= at
        assert not watch.losses
        watch.finish(end)
        assert watch.sure == end
        assert list(watch.losses) == [Loss(at, lost)] * flagged


def test_each_of_many_losses_is_reported() -> None:
    told = callbacks(100, bursts(4, 0.01))
    for i in range(20):
        told = without(told, (4 + 4 * i) * RATE_HZ, 10 * BLOCK)
    watch = Continuity(RATE_HZ)
    found = losses(told, watch)
    assert len(found) == 20
    assert max(abs(loss.lost - 10 * BLOCK) for loss in found) <= 0.003 * RATE_HZ
    assert abs(sum(loss.lost for loss in found) - 200 * BLOCK) <= 0.003 * RATE_HZ  # errors do not add up


@pytest.mark.parametrize(("ppm", "said"), [(-5000, ""), (500, ""), (20000, "15686"), (-88000, "17544")])
def test_a_wrong_rate_is_reported_once(ppm: float, said: str) -> None:
    pace = Pace("mic:", RATE_HZ)
    told = [
        (came_s, sentence)
        for came_s, start, end, _ in without(callbacks(60, bursts(5, 0.02), ppm), 8 * RATE_HZ, 3 * RATE_HZ)
        for sentence in pace.push(came_s, end)
    ]
    if not said:
        assert told == []
        return
    ((came_s, sentence),) = told
    assert 1010 < came_s < 1018
    assert sentence.startswith(f"mic: delivers {said[:3]}")
    assert "samples a second instead of 16000, so that" in sentence
