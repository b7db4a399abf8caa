"""Puts frames back in the order in which they were sent."""

from __future__ import annotations

from collections.abc import Iterator

from edge_res.sources.framing import NUMBERS, Frame

_HALF = NUMBERS // 2
_RESTART = 8  # at least so many old frames in a row are a restart of the sender, not stragglers

Arrived = tuple[Frame, float]  # a frame, and the second at which it arrived


class Reorder:
    """Holds back frames that arrive early, until those before them arrive or more than `window` others have.

    A frame that arrives twice or too late is dropped. More than `window` of them in a row mean that the sender has
    restarted, and are passed on; so does a frame that repeats a recent number with different samples.
    """

    def __init__(self, window: int) -> None:
        self.late = 0  # frames dropped because they arrived twice or too late
        self._window = window
        self._next: int | None = None  # number of the next frame to pass on
        self._early: dict[int, Arrived] = {}
        self._behind: dict[int, Arrived] = {}
        self._most_behind = max(window, _RESTART)
        self._given: dict[int, int] = {}  # the numbers of the last ones passed on, and the hashes of their samples
        self._anew = False  # whether the old frames are certainly a restart

    def push(self, frame: Frame, now_s: float) -> Iterator[Arrived]:
        """Take a frame as it arrives; yield those whose turn it is."""
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
        """Yield what is held back, without waiting for more."""
        yield from self._give(0)
        if self._anew:
            self._begin_anew()
            yield from self._give(0)

    def reset(self) -> None:
        """Start over with another sender, after `flush`."""
        self._next = None
        self._behind.clear()
        self._given.clear()
        self._anew = False

    def _begin_anew(self) -> None:
        """Continue with the old frames, after everything before them has been passed on."""
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
            self._given.pop(frame.number, None)  # so that it becomes the last
            self._given[frame.number] = _hash(frame)
            if len(self._given) > self._most_behind + 1:
                del self._given[next(iter(self._given))]
            yield frame, arrived_s

    def _ahead(self, number: int) -> int:
        return (number - (self._next or 0)) % NUMBERS


def _hash(frame: Frame) -> int:
    return hash(frame.samples.tobytes())
