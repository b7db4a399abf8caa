"""Against a list that never forgets, in one thread; and against a counting signal, in two."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_res.flow import Samples
from edge_res.signal import ring as ring_module
from edge_res.signal.ring import Ring

SLOTS = 64  # places of a loss that a ring can remember


def counting(start: int, n: int, channels: int = 1) -> Samples:
    """Samples that say where they are, modulo 100,000; channel c counts from c * 100,000."""
    return (np.arange(start, start + n)[:, None] % 100_000 + 100_000 * np.arange(channels)).astype(np.float32)


class RingAndList(RuleBasedStateMachine):
    """The model: `held` lists what is inside, an int for a sample (its position in the stream) and a gap as [lost]."""

    @initialize(capacity=st.integers(1, 20), channels=st.integers(1, 3), share=st.floats(0, 1))
    def start(self, capacity: int, channels: int, share: float) -> None:
        self.ring = Ring(capacity, channels, 1 + int(share * (capacity - 1)))
        self.capacity, self.channels = capacity, channels
        self.held: list[int | list[int]] = []
        self.position = 0  # of the next sample the writer comes with
        self.read_position = 0  # of the next sample the reader is to see
        self.pending = 0

    @property
    def samples_held(self) -> int:
        return sum(isinstance(item, int) for item in self.held)

    @property
    def before_gap(self) -> int:
        """Samples up to the first gap."""
        return next((i for i, item in enumerate(self.held) if not isinstance(item, int)), len(self.held))

    @rule(n=st.integers(0, 30))
    def write(self, n: int) -> None:
        fits = min(n, self.capacity - self.samples_held)
        if fits and self.pending:
            if len(self.held) - self.samples_held == SLOTS:
                fits = 0
            else:
                self.held.append([self.pending])
                self.pending = 0
        assert self.ring.write(counting(self.position, n, self.channels)) == fits
        self.held += range(self.position, self.position + fits)
        self.position += n
        self.pending += n - fits

    @rule(count=st.integers(1, 1000))
    def lose(self, count: int) -> None:
        self.ring.lose(count)
        self.position += count
        self.pending += count

    @rule(data=st.data())
    def view_and_advance(self, data: st.DataObject) -> None:
        n = data.draw(st.integers(0, min(self.ring.available, self.ring.longest_view)))
        view = self.ring.view(n)
        assert view.flags.c_contiguous
        assert view.shape == (n, self.channels)
        expected = counting(self.read_position, n, self.channels)
        np.testing.assert_array_equal(view, expected)
        released = data.draw(st.integers(0, n))
        self.ring.advance(released)
        assert self.held[:released] == list(range(self.read_position, self.read_position + released))
        del self.held[:released]
        self.read_position += released

    @rule()
    def take_lost(self) -> None:
        lost = 0
        if self.held and isinstance(gap := self.held[0], list):
            (lost,) = gap
            del self.held[0]
        assert self.ring.take_lost() == lost
        self.read_position += lost

    @precondition(lambda self: not self.held)
    @rule()
    def end(self) -> None:
        assert self.ring.take_lost() == 0
        assert self.ring.take_unmarked_lost() == self.pending
        assert self.ring.take_unmarked_lost() == 0
        assert self.ring.at == self.position
        self.start(self.capacity, self.channels, 1.0)

    @rule(n=st.integers(-3, -1))
    def ask_for_less_than_nothing(self, n: int) -> None:
        for act in (self.ring.view, self.ring.advance):
            with pytest.raises(ValueError, match=rf"n={n} samples"):
                act(n)

    @rule(n=st.integers(1, 5))
    def ask_for_too_much(self, n: int) -> None:
        with pytest.raises(ValueError, match="cannot view"):
            self.ring.view(min(self.ring.available, self.ring.longest_view) + n)
        with pytest.raises(ValueError, match="cannot advance"):
            self.ring.advance(self.ring.available + n)

    @invariant()
    def accounts_agree(self) -> None:
        if not hasattr(self, "ring"):
            return
        assert self.ring.at == self.read_position
        assert self.ring.available == self.before_gap
        lost = self.pending + sum(item[0] for item in self.held if isinstance(item, list))
        assert self.position - self.read_position == self.samples_held + lost


TestRingAndList = RingAndList.TestCase


@pytest.mark.parametrize("capacity", [1, 2, 7, 8])
def test_a_view_is_right_wherever_it_wraps(capacity: int) -> None:
    for start in range(2 * capacity):
        for n in range(1, capacity + 1):
            ring = Ring(capacity, 2)
            for at in range(start):
                ring.write(counting(at, 1, 2))
                ring.advance(1)
            assert ring.write(counting(start, n, 2)) == n
            np.testing.assert_array_equal(ring.view(n), counting(start, n, 2))


def test_writing_after_a_view_does_not_change_it() -> None:
    ring = Ring(10, longest_view=6)
    ring.write(counting(0, 8))
    ring.advance(7)
    ring.write(counting(8, 5))
    view = ring.view(6)  # crosses the end
    before = view.copy()
    assert ring.write(counting(13, 10)) == 4
    np.testing.assert_array_equal(view, before)
    np.testing.assert_array_equal(view, counting(7, 6))


def test_without_room_for_another_gap_the_last_one_grows() -> None:
    ring = Ring(1000)
    for i in range(SLOTS + 10):
        ring.lose(1)
        assert ring.write(counting(0, 1)) == (i < SLOTS)
    assert ring.lost == SLOTS + 10 + 10  # ten samples had room and no place to say what is missing before them
    for _ in range(SLOTS):
        assert ring.available == 0
        assert ring.take_lost() == 1
        assert ring.take_lost() == 0
        assert ring.available == 1
        ring.advance(1)
    assert ring.write(counting(5, 1)) == 1
    assert ring.take_lost() == 20
    assert ring.at == 2 * SLOTS + 20
    assert ring.view(1)[0, 0] == 5


@pytest.mark.parametrize("sizes", [(0, 1, None), (-1, 1, None), (4, 0, None), (4, 1, 0), (4, 1, 5)])
def test_impossible_rings_are_refused(sizes: tuple[int, int, int | None]) -> None:
    with pytest.raises(ValueError, match=r"not a possible ring: capacity=-?\d+, channels="):
        Ring(*sizes)


class Reader:
    """Reads whatever there is, and checks that it is what was written, or reported as lost."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.position = self.read = self.told = self.gaps = 0

    def step(self) -> bool:
        """Whether anything came."""
        lost = self.ring.take_lost()
        self.gaps += lost > 0
        self.told += lost
        self.position += lost
        assert self.ring.at == self.position
        n = min(self.ring.available, self.ring.longest_view)
        np.testing.assert_array_equal(self.ring.view(n), counting(self.position, n, self.ring.channels))
        self.ring.advance(n)
        self.read += n
        self.position += n
        return n > 0 or lost > 0


class Writer:
    """Writes pieces of any length, and now and then loses one."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.position = 0
        self._random = np.random.default_rng(0)

    def step(self) -> None:
        n = int(self._random.integers(0, self.ring.capacity + self.ring.capacity // 2))
        start, self.position = self.position, self.position + n
        if self._random.random() < 0.1:
            self.ring.lose(n)
        else:
            self.ring.write(counting(start, n, self.ring.channels))


@contextmanager
def interrupted(interrupt: Callable[[], object]) -> Iterator[None]:
    """Call `interrupt` before every line of the ring that runs, as another thread could."""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != ring_module.__file__:
            return None
        if event == "line":
            interrupt()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("who", ["writer", "reader"])
def test_either_may_be_interrupted_at_every_line(who: str) -> None:
    ring = Ring(10, 2, 7)
    reader, writer = Reader(ring), Writer(ring)
    for _ in range(300):
        with interrupted(reader.step if who == "writer" else lambda: None):
            writer.step()
        with interrupted(writer.step if who == "reader" else lambda: None):
            reader.step()
    while reader.step():
        pass
    assert reader.read + reader.told + ring.take_unmarked_lost() == writer.position == ring.at
    assert reader.read > 300
    assert reader.gaps > 10


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Python changes between threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("frequent_switches")
@pytest.mark.parametrize("capacity", [50, 4096])
def test_two_threads_account_for_every_sample(capacity: int) -> None:
    """What is read and what is reported as lost is, in order, what was written."""
    ring = Ring(capacity, 2, max(1, capacity // 3))
    reader, writer = Reader(ring), Writer(ring)
    ended = threading.Event()

    def write() -> None:
        while writer.position < 400 * capacity or reader.gaps < 10:
            writer.step()
            time.sleep(0)  # the reader's turn
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    while True:
        over = ended.is_set()  # before looking
        if not reader.step() and over:
            break
    thread.join()
    told = reader.told + ring.take_unmarked_lost()
    assert reader.read + told == writer.position == ring.at
    assert told == ring.lost
