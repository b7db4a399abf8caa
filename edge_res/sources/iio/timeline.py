"""Losses between the samples of a device that reports when each was taken."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_res.flow import Samples
from edge_res.sources.sequence import lost_by_clock

Times = NDArray[np.int64]  # ns

_NEAR = 32  # samples on either side that show whether a sample is late or follows a gap
_BEHIND = 8  # samples, from a late one on, that are needed for that
_LATE = 1.25  # periods between two samples from which on they are examined
_FITTED = 64  # samples needed to fit the true period
_ANEW = 4096  # samples after which the fit starts over
_TOLERANCE = 0.1  # how far the true period may be from the declared one
_HELD_S = 4.0  # how long samples may have waited in the kernel's buffer


class Timeline:
    """Finds lost samples by the times of those that arrived: a loss is a step in the times that stays.

    A sample that was only taken late is not a loss, since the samples after it are on time again. So the least delay
    before is compared with the least delay after, using the true period, which may differ from the declared one. If
    there are no times, or they jump as when a clock is set, the time of arrival is used instead, after a silence of
    `silence_s` or an interruption.
    """

    def __init__(self, rate_hz: int, silence_s: float) -> None:
        self._rate_hz = rate_hz
        self._silence_s = silence_s
        self._nominal = self._period = 1e9 / rate_hz  # ns
        self._times: Times = np.zeros(0, np.int64)  # of the last samples
        self._places: Times = np.zeros(0, np.int64)  # their indices, including lost samples
        self._anchor: tuple[int, int] | None = None  # time and place from which the period is fitted
        self._held: tuple[Samples, Times] | None = None
        self._seen_s: float | None = None
        self._broken = False

    def interrupted(self) -> None:
        """The next sample does not follow the last one."""
        self._broken = True

    def push(self, samples: Samples, times: Times | None, now_s: float) -> Iterator[tuple[int, Samples]]:
        """Samples lost, and those that follow, in float32 `(n, channels)` taken at `times` that arrived at `now_s`.

        The last samples are held back if only later ones can show whether there is a loss before them.
        """
        if len(samples) == 0:
            return
        if times is not None and len(self._times) and times.max() <= self._times.min():
            times = None  # the clock stands still, or was set back
        if self._held is not None:
            before, self._held = self._held, None
            if times is None or self._broken:
                yield from _cut(before[0], self._by_times(before[1], len(before[1]), now_s))
            else:
                samples, times = np.concatenate([before[0], samples]), np.concatenate([before[1], times])
        if times is None:
            self._forget()
            losses = {0: self._by_clock(len(samples), now_s)}
        else:
            sure = len(times) if self._broken else self._sure(times)
            if sure:
                losses = self._by_times(times, sure, now_s)
            if sure < len(times):
                self._held = samples[sure:], times[sure:]
                samples = samples[:sure]
            if not sure:
                return
        if self._broken and self._seen_s is not None:
            losses[0] = max(1, losses[0])
        self._seen_s, self._broken = now_s, False
        yield from _cut(samples, losses)

    def _sure(self, times: Times) -> int:
        """How many of the samples can be placed: all before a late one among the last."""
        ends = np.concatenate([self._times[-1:], times])
        late = np.flatnonzero(np.diff(ends) > _LATE * self._period) + 1 - len(self._times[-1:])
        waiting = late[late > len(times) - _BEHIND]
        return int(waiting[0]) if len(waiting) else len(times)

    def _by_clock(self, count: int, now_s: float) -> int:
        if self._seen_s is None or not (self._broken or now_s - self._seen_s > self._silence_s):
            return 0
        return lost_by_clock(now_s - self._seen_s, self._rate_hz, count)

    def _by_times(self, times: Times, sure: int, now_s: float) -> dict[int, int]:
        """Samples lost before each of the first `sure`; the ones after these only help to decide."""
        known = len(self._times)
        first = self._places[-1] + 1 if known else 0
        times = np.concatenate([self._times, times])
        places = np.concatenate([self._places, np.arange(first, first + len(times) - known)])
        late = np.flatnonzero(np.diff(times) > _LATE * self._period) + 1
        losses = {0: 0 if known else self._by_clock(len(times), now_s)}
        for at in late[(late >= max(known, 1)) & (late < known + sure)]:
            lost = self._step(times, places, int(at))
            if lost > 0 and not self._possible(lost, now_s):
                lost = self._by_clock(len(times) - known, now_s) if at == known else 0
                times[:at] += times[at] - times[at - 1] - round((lost + 1) * self._period)  # as the clock is now
                self._anchor = None
            if lost > 0:
                places[at:] += lost
                losses[int(at) - known] = lost
        self._times, self._places = times[: known + sure][-_NEAR:], places[: known + sure][-_NEAR:]
        self._fit()
        return losses

    def _step(self, times: Times, places: Times, at: int) -> int:
        """Samples missing before the sample at `at`."""
        near = slice(max(0, at - _NEAR), at + _NEAR)
        delays = (times[near] - times[at]) - (places[near] - places[at]) * self._period
        before = at - near.start
        return round(float(delays[before:].min() - delays[:before].min()) / self._period)

    def _possible(self, lost: int, now_s: float) -> bool:
        return self._seen_s is None or lost / self._rate_hz < now_s - self._seen_s + _HELD_S

    def _fit(self) -> None:
        near = self._times - self._times[-1] - (self._places - self._places[-1]) * self._period
        least = int(near.argmin())  # the one that is on time
        time, place = int(self._times[least]), int(self._places[least])
        if self._anchor is None and len(self._times) == _NEAR:
            self._anchor = time, place
        count = place - self._anchor[1] if self._anchor else 0
        if self._anchor is None or count < _FITTED:
            return
        fitted = (time - self._anchor[0]) / count
        if abs(fitted / self._nominal - 1) <= _TOLERANCE:
            self._period = fitted
        if count > _ANEW:
            self._anchor = time, place

    def _forget(self) -> None:
        self._times, self._places, self._anchor = self._times[:0], self._places[:0], None


def _cut(samples: Samples, losses: dict[int, int]) -> Iterator[tuple[int, Samples]]:
    """The samples in pieces, each with the loss before it."""
    for begin, end in pairwise(sorted({0, *losses, len(samples)})):
        yield losses.get(begin, 0), samples[begin:end]
