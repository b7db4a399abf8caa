"""When samples were captured: the source's own count of them, tied to the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

_SPAN_S = 1.0  # over which the least delay is taken: 1 % of drift is 10 ms of it


def wall_us(monotonic_s: float) -> int:
    """Microseconds of Unix time at a time of the monotonic clock."""
    return round(1e6 * (time.time() - time.monotonic() + monotonic_s))


class CaptureClock:
    """Follows the delay with which samples arrive: when they came, less when they were due by their count.

    The delay jitters, but nothing arrives before it was captured, so its least values are steady. One thread calls
    `came`, another may call `time_us`. `clock` gives seconds that never go back.

    >>> clock = CaptureClock(1000, clock=lambda: 7.0)
    >>> clock.came(250)  # the first 250 samples are here
    >>> clock.captured_s(0)
    6.75
    """

    def __init__(self, rate_hz: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz = rate_hz
        self._clock = clock
        self._before_s = self._now_s = inf  # least delay of the span before, and of this one
        self._span_s = -inf  # when this one began

    def came(self, end: int) -> None:
        """The samples before position `end`, lost ones counted, have come."""
        now_s = self._clock()
        delay_s = now_s - end / self._rate_hz
        if now_s - self._span_s >= _SPAN_S:
            self._before_s, self._now_s, self._span_s = self._now_s, delay_s, now_s
        elif delay_s < self._now_s:
            self._now_s = delay_s

    def captured_s(self, at: int) -> float:
        """When sample `at` was captured, on the monotonic clock; infinite if none has come yet."""
        return min(self._before_s, self._now_s) + at / self._rate_hz

    def time_us(self, at: int) -> int | None:
        """The same in microseconds of Unix time; None if none has come yet."""
        captured_s = self.captured_s(at)
        return None if captured_s == inf else wall_us(captured_s)
