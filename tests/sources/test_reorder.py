"""Datagrams back in their order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_res.sources.framing import NUMBERS, Frame
from edge_res.sources.reorder import Reorder

PER_FRAME = 10


def frame(index: int, first: int = 0, value: float = 0.0) -> Frame:
    return Frame((first + index * PER_FRAME) % NUMBERS, np.full((PER_FRAME, 1), index + value, np.float32))


def given_on(reorder: Reorder, order: list[int], first: int = 0) -> list[int]:
    found = [ready for i in order for ready, _ in reorder.push(frame(i, first), 0.0)]
    return [int(ready.samples[0, 0]) for ready in found]


def flushed(reorder: Reorder) -> list[int]:
    return [int(ready.samples[0, 0]) for ready, _ in reorder.flush()]


@given(
    st.integers(0, 20),
    st.integers(0, NUMBERS - 1),
    st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=80),
)
def test_frames_within_the_window_are_put_in_order(window: int, first: int, fates: list[tuple[bool, float]]) -> None:
    came = [0, *(i for i, (lost, _) in enumerate(fates, 1) if not lost)]
    order = sorted(came, key=lambda i: i + (fates[i - 1][1] * window if i else 0))
    reorder = Reorder(window)
    assert given_on(reorder, order, first) + flushed(reorder) == came
    assert reorder.late == 0


def test_a_missing_frame_is_waited_for_as_long_as_the_window() -> None:
    reorder = Reorder(3)
    assert given_on(reorder, [0, 2, 3, 4]) == [0]
    assert given_on(reorder, [5]) == [2, 3, 4, 5]
    assert given_on(reorder, [1, 6]) == [6]
    assert reorder.late == 1


def test_a_repeated_frame_is_passed_on_once() -> None:
    reorder = Reorder(8)
    assert given_on(reorder, [0, 0, 1, 2, 1, 4, 4, 3, 4, 5, 6]) == [0, 1, 2, 3, 4, 5, 6]
    assert reorder.late == 4


@pytest.mark.parametrize("window", [0, 8, 20])
def test_a_restart_is_passed_on_completely(window: int) -> None:
    reorder = Reorder(window)
    assert given_on(reorder, list(range(30))) == list(range(30))
    again = [1, 0, 2, 4, 3, *range(5, 30)] if window else list(range(30))
    assert given_on(reorder, again) == list(range(30))
    assert reorder.late == 0


@pytest.mark.parametrize("window", [0, 4, 100])
@pytest.mark.parametrize("given", [2, 5, 8])
def test_an_early_restart_is_recognised_by_its_samples(window: int, given: int) -> None:
    reorder = Reorder(window)
    assert given_on(reorder, list(range(given))) == list(range(given))
    order = [0, *range(1, 200)] if window == 0 else [1, 0, *range(2, 200)]
    found = [ready for i in order for ready, _ in reorder.push(frame(i, value=1000), 0.0)]
    assert [int(ready.samples[0, 0]) for ready in found] == list(range(1000, 1200))
    assert reorder.late == 0


def test_a_certain_restart_does_not_wait_for_more_frames() -> None:
    reorder = Reorder(8)
    assert given_on(reorder, [0, 1, 2, 4]) == [0, 1, 2]
    assert [ready for i in (0, 1) for ready in reorder.push(frame(i, value=1000), 0.0)] == []
    assert flushed(reorder) == [4, 1000, 1001]


def test_frames_held_at_a_restart_come_first() -> None:
    reorder = Reorder(8)
    assert given_on(reorder, [100, 102, *range(12)]) == [100, 102, *range(12)]


def test_another_sender_begins_where_it_is() -> None:
    reorder = Reorder(8)
    given_on(reorder, [5, 6, 4])
    assert flushed(reorder) == []
    reorder.reset()
    assert given_on(reorder, [2, 3]) == [2, 3]
