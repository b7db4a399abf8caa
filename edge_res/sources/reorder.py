"""Datagrams back in the order in which they were sent."""

from __future__ import annotations

from collections.abc import Iterator

from edge_res.sources.framing import NUMBERS, Frame

_HALF = NUMBERS // 2
_RESTART = 8  # frames behind in a row, at least, that are a new beginning and no stragglers

Arrived = tuple[Frame, float]  # a frame, and the second when it came


class Reorder:
    """Holds back frames that came too early, until those before them have come or more than `window` others have.

    A frame that is behind what was given on, one that came twice or too late, is dropped; more than `window` of them in
    a row are the sender's new beginning, and are given on.
    """

    def __init__(self, window: int) -> None:
        self.late = 0  # frames dropped: twice, or too late
        self._window = window
        self._next: int | None = None  # number of the next frame to give on
        self._early: dict[int, Arrived] = {}
        self._behind: dict[int, Arrived] = {}

    def push(self, frame: Frame, now_s: float) -> Iterator[Arrived]:
        """Take a frame as it came; yields those whose turn it is."""
        number = frame.number
        if self._next is None:
            self._next = number
        if self._ahead(number) < _HALF:
            self.late += len(self._behind) + (number in self._early)
            self._behind.clear()
            self._early[number] = frame, now_s
            yield from self._give(self._window)
            return
        self.late += number in self._behind
        self._behind[number] = frame, now_s
        if len(self._behind) > max(self._window, _RESTART):
            yield from self.flush()
            self._next = min(self._behind, key=lambda other: (other - number + _HALF) % NUMBERS)
            self._early, self._behind = self._behind, {}
            yield from self._give(self._window)

    def flush(self) -> Iterator[Arrived]:
        """What is held back, without waiting for more."""
        yield from self._give(0)

    def reset(self) -> None:
        """Begin anew, with another sender; what is held back has been flushed."""
        self._next = None
        self._behind.clear()

    def _give(self, window: int) -> Iterator[Arrived]:
        while self._early:
            following = min(self._early, key=self._ahead)
            if following != self._next and len(self._early) <= window:
                return
            frame, arrived_s = self._early.pop(following)
            self._next = (frame.number + len(frame.samples)) % NUMBERS
            yield frame, arrived_s

    def _ahead(self, number: int) -> int:
        return (number - (self._next or 0)) % NUMBERS
