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
    a row are the sender's new beginning, and are given on. So is one with the number of a frame that was given on of
    late, and with other samples.
    """

    def __init__(self, window: int) -> None:
        self.late = 0  # frames dropped: twice, or too late
        self._window = window
        self._next: int | None = None  # number of the next frame to give on
        self._early: dict[int, Arrived] = {}
        self._behind: dict[int, Arrived] = {}
        self._most_behind = max(window, _RESTART)
        self._given: dict[int, int] = {}  # the last ones given on, and the hash of the samples of each
        self._anew = False  # whether those behind are a new beginning for sure

    def push(self, frame: Frame, now_s: float) -> Iterator[Arrived]:
        """Take a frame as it came; yields those whose turn it is."""
        number = frame.number
        if self._next is None:
            self._next = number
        if self._ahead(number) < _HALF and not self._anew:
            self.late += len(self._behind) + (number in self._early)
            self._behind.clear()
            self._early[number] = frame, now_s
            yield from self._give(self._window)
            return
        self.late += number in self._behind
        self._behind[number] = frame, now_s
        self._anew = self._anew or self._given.get(number, _hash(frame)) != _hash(frame)
        if len(self._behind) > (self._window if self._anew else self._most_behind):
            yield from self._give(0)
            self._begin_anew()
            yield from self._give(self._window)

    def flush(self) -> Iterator[Arrived]:
        """What is held back, without waiting for more."""
        yield from self._give(0)
        if self._anew:
            self._begin_anew()
            yield from self._give(0)

    def reset(self) -> None:
        """Begin anew, with another sender; what is held back has been flushed."""
        self._next = None
        self._behind.clear()
        self._given.clear()
        self._anew = False

    def _begin_anew(self) -> None:
        """With what is behind, the old stream having been given on."""
        one = next(iter(self._behind))
        self._next = min(self._behind, key=lambda other: (other - one + _HALF) % NUMBERS)
        self._early, self._behind, self._anew = self._behind, {}, False
        self._given.clear()

    def _give(self, window: int) -> Iterator[Arrived]:
        while self._early:
            following = min(self._early, key=self._ahead)
            if following != self._next and len(self._early) <= window:
                return
            frame, arrived_s = self._early.pop(following)
            self._next = (frame.number + len(frame.samples)) % NUMBERS
            self._given.pop(frame.number, None)  # so that it is the last again
            self._given[frame.number] = _hash(frame)
            if len(self._given) > self._most_behind + 1:
                del self._given[next(iter(self._given))]
            yield frame, arrived_s

    def _ahead(self, number: int) -> int:
        return (number - (self._next or 0)) % NUMBERS


def _hash(frame: Frame) -> int:
    return hash(frame.samples.tobytes())
