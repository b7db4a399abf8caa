"""A ring buffer between one writer (an audio callback) and one reader, which counts what does not fit."""

from __future__ import annotations

import numpy as np

from edge_res.flow import Samples


class Ring:
    """Holds up to `capacity` samples of `channels` float32 values, oldest first.

    One thread writes, one reads; neither waits for the other and nothing is allocated after construction. The
    writer alone moves `_written` and `_lost`, the reader alone `_read` and `_told`. Each counter moves only after the
    samples or the gap that it announces are in place, which suffices on CPython (with or without the GIL).

    What does not fit is dropped and counted, and the place of the loss is kept: `available` never reaches across
    a gap, and at a gap `take_lost` returns how many samples are missing there. Up to `gaps` places are kept.

    The reader gets contiguous views: the buffer has a tail beyond `capacity` into which `view` copies the wrapped
    part when, and only when, a view crosses the end.

    >>> ring = Ring(capacity=4)
    >>> ring.write(np.ones((6, 1), np.float32))  # two do not fit
    4
    >>> ring.view(ring.available).shape
    (4, 1)
    >>> ring.advance(4)
    >>> ring.write(np.ones((3, 1), np.float32))
    3
    >>> ring.take_lost(), ring.at
    (2, 6)
    """

    def __init__(self, capacity: int, channels: int = 1, longest_view: int | None = None, gaps: int = 64) -> None:
        longest_view = capacity if longest_view is None else longest_view
        if min(capacity, channels, gaps) < 1 or not 1 <= longest_view <= capacity:
            raise ValueError(f"not a possible ring: {capacity=}, {channels=}, {longest_view=}, {gaps=}")
        self.capacity = capacity
        self.channels = channels
        self.longest_view = longest_view
        self._data = np.zeros((capacity + longest_view, channels), np.float32)
        self._written = 0  # samples accepted since the start
        self._read = 0  # samples released since the start
        self._lost = 0  # samples dropped since the start
        self._told = 0  # how many of them the reader knows of
        self._pending = 0  # dropped, but not yet marked as a gap because nothing was accepted since
        # Gap i lies directly before accepted sample _gap_at[i % gaps]; the writer moves _gaps_made.
        self._gap_at = [0] * gaps
        self._gap_lost = [0] * gaps
        self._gaps_made = 0
        self._gaps_taken = 0

    # the writer's side

    @property
    def room(self) -> int:
        """Samples that are sure to fit now; the reader can only make more room."""
        return self.capacity - (self._written - self._read)

    def write(self, samples: Samples) -> int:
        """Copy float32 `(n, channels)` in and return how many fit; the rest counts as lost."""
        n = len(samples)
        taken = min(n, self.room)
        if taken and self._pending:
            if self._gaps_made - self._gaps_taken == len(self._gap_at):
                taken = 0  # no room to say where the loss was: let the last gap grow instead
            else:
                slot = self._gaps_made % len(self._gap_at)
                self._gap_at[slot] = self._written
                self._gap_lost[slot] = self._pending
                self._gaps_made += 1
                self._pending = 0
        if taken:
            start = self._written % self.capacity
            first = min(taken, self.capacity - start)
            self._data[start : start + first] = samples[:first]
            if first < taken:
                self._data[: taken - first] = samples[first:taken]
            self._written += taken
        if taken < n:
            self.lose(n - taken)
        return taken

    @property
    def end(self) -> int:
        """Index behind the last sample that came or was lost, in the stream as it should have been."""
        return self._written + self._lost

    def lose(self, count: int) -> None:
        """Count `count` samples that were lost before they reached the ring (an overflow in the driver)."""
        self._pending += count
        self._lost += count

    # the reader's side

    @property
    def lost(self) -> int:
        """Samples lost since the start, including those that `take_lost` has not returned yet."""
        return self._lost

    @property
    def at(self) -> int:
        """Index of the next sample to read, in the stream as it should have been: losses taken so far are counted."""
        return self._read + self._told

    @property
    def available(self) -> int:
        """Samples that can be read before the next gap or the end of what was written."""
        written = self._written  # before the gaps: a gap is marked before the samples behind it are announced
        if self._gaps_made > self._gaps_taken:
            return min(written, self._gap_at[self._gaps_taken % len(self._gap_at)]) - self._read
        return written - self._read

    def take_lost(self) -> int:
        """Samples missing directly before the next one to read, each returned once; 0 if none is missing."""
        slot = self._gaps_taken % len(self._gap_at)
        if self._gaps_made == self._gaps_taken or self._gap_at[slot] != self._read:
            return 0
        lost = self._gap_lost[slot]
        self._gaps_taken += 1
        self._told += lost
        return lost

    def take_unmarked_lost(self) -> int:
        """Samples dropped at the very end, with none after them; for when the writer has ended."""
        lost = self._lost - self._told
        self._told = self._lost
        return lost

    def view(self, n: int) -> Samples:
        """The oldest `n` samples, float32 `(n, channels)`, contiguous and valid until `advance`."""
        if not 0 <= n <= min(self.longest_view, self.available):
            raise ValueError(f"cannot view {n=} samples: {self.available=}, {self.longest_view=}")
        start = self._read % self.capacity
        over = start + n - self.capacity
        if over > 0:
            self._data[self.capacity : self.capacity + over] = self._data[:over]
        return self._data[start : start + n]

    def advance(self, n: int) -> None:
        """Give the space of the oldest `n` samples back to the writer."""
        if not 0 <= n <= self.available:
            raise ValueError(f"cannot advance by {n=} samples: {self.available=}")
        self._read += n
