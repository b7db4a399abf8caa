"""What is missing in a numbered stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_res.errors import SignalError
from edge_res.sources.framing import NUMBERS
from edge_res.sources.sequence import Sequence

RATE_HZ = 1000


@given(
    st.integers(0, NUMBERS - 1),
    st.lists(st.tuples(st.integers(1, 100), st.booleans()), min_size=1, max_size=60),
)
def test_what_is_missing_is_exact_across_the_wrap(first: int, pieces: list[tuple[int, bool]]) -> None:
    sequence, at, told, missing = Sequence("x", RATE_HZ), 0, 0, 0
    began = False
    for count, arrives in pieces:
        if arrives:
            told += sequence.lost_before((first + at) % NUMBERS, count, at / RATE_HZ)
            assert told == missing
            began = True
        elif began:
            missing += count
        at += count


def test_the_wrap_is_not_a_gap_and_a_gap_may_span_it() -> None:
    sequence = Sequence("x", RATE_HZ)
    assert sequence.lost_before(NUMBERS - 10, 10, 0.0) == 0
    assert sequence.lost_before(0, 10, 0.01) == 0
    sequence = Sequence("x", RATE_HZ)
    assert sequence.lost_before(NUMBERS - 10, 10, 0.0) == 0
    assert sequence.lost_before(20, 10, 0.04) == 20


@pytest.mark.parametrize("number", [0, 4_000_000_000, 1_000_000])
def test_a_restart_is_a_gap_by_the_clock(number: int, caplog: pytest.LogCaptureFixture) -> None:
    sequence = Sequence("x", RATE_HZ)
    assert sequence.lost_before(50_000, 10, 50.01) == 0
    assert sequence.lost_before(number, 10, 52.5) == 2480
    assert sequence.lost_before(number + 10, 10, 52.51) == 0
    (told,) = caplog.messages
    assert (
        told == f"x has restarted with number {number} after 50009; by the clock, 2480 samples are missing in between."
    )


def test_a_restart_loses_at_least_one_sample() -> None:
    sequence = Sequence("x", RATE_HZ)
    sequence.lost_before(50_000, 10, 50.0)
    assert sequence.lost_before(0, 10, 50.001) == 1


def test_samples_held_in_buffers_are_not_a_restart() -> None:
    sequence = Sequence("x", RATE_HZ)
    sequence.lost_before(0, 10, 0.0)
    assert sequence.lost_before(10, 10, 9.0) == 0  # this process stood still: what had come before is read first
    assert sequence.lost_before(8000, 10, 9.001) == 7980


def test_a_long_gap_may_deviate_as_much_as_clocks_and_rates_do() -> None:
    sequence = Sequence("x", RATE_HZ)
    sequence.lost_before(0, 10, 0.0)
    assert sequence.lost_before(950_000, 10, 1000.0) == 949_990


def test_after_an_outage_numbers_count_if_the_clock_agrees(caplog: pytest.LogCaptureFixture) -> None:
    for number, missing, restarts in [(3000, 2990, 0), (300, 2990, 1), (8000, 2990, 1), (10, 2990, 1)]:
        sequence = Sequence("x", RATE_HZ)
        sequence.lost_before(0, 10, 0.0)
        sequence.doubt()
        assert sequence.lost_before(number, 10, 3.0) == missing
        assert len(caplog.messages) == restarts
        caplog.clear()


def test_a_sender_that_numbers_frames_is_reported() -> None:
    sequence = Sequence("serial:x", RATE_HZ)
    sequence.lost_before(7, 10, 0.0)
    with pytest.raises(SignalError) as caught:
        sequence.lost_before(8, 10, 0.01)
    assert str(caught.value) == (
        "serial:x sends overlapping frames: one of 10 samples has the number 7, the next one 8; the number must be the "
        "index of the frame's first sample."
    )
