"""Detects missing samples by comparing their count with the clock: drivers and sound servers do not always report."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from statistics import median

STEP_S = 0.02  # the shortest loss that is detected without a flag
_SPAN_S = 0.5  # the least delay is taken over this span and the one before: 500 ppm of drift are 0.5 ms
_SETTLE_S = 0.25  # a step is permanent if the least delay is the same over two such spans
_SAME_S = 0.003
_PATIENCE_S = 1.5  # the longest wait for the delay to settle; then it is used as it is
_WRONG_RATE = 0.01
_RATE_SPANS = 21  # over 10 s


@dataclass(frozen=True, slots=True)
class Loss:
    """`lost` samples are missing directly before sample `at` of those that arrived."""

    at: int
    lost: int


@dataclass(slots=True)
class _Doubt:
    """Samples have arrived late: either some were lost, or the delay will be caught up."""

    start: int  # the first late sample
    broken: bool
    since_s: float  # when its callback came, less the length of its samples
    half_s: float  # the start of the span over which `recent_s` is the least delay
    earlier_s: float = inf
    recent_s: float = inf
    anew: bool = False  # started over after a silence


class Continuity:
    """Follows the delay of each callback: when it came, minus when its last sample was due by the count.

    The delay jitters, but its least value is steady, since nothing is delivered before it was recorded. If the least
    delay grows by more than `STEP_S` at once and stays, samples of that length were lost; drift between the clocks is
    slower. A known interruption (`broken`) is a loss of at least 1 sample, and as long as the step of the delay.
    Samples up to the index `sure` may be used; after it, a loss may still be found. A loss is found within 0.5 s, or up
    to 1.5 s on a device whose delay takes long to settle.
    """

    def __init__(self, rate_hz: int) -> None:
        self.sure = 0
        self.losses: deque[Loss] = deque()  # found so far; the user takes them from the left
        self._rate_hz = rate_hz
        self._lost = 0  # in total
        self._before_s = self._now_s = inf  # the least delay of the previous span, and of this one
        self._span_s = -inf  # when this span began
        self._came_s = inf  # when the last callback came
        self._doubt: _Doubt | None = None

    @property
    def usual_s(self) -> float:
        """The recent least delay."""
        return min(self._before_s, self._now_s)

    def push(self, came_s: float, start: int, end: int, broken: bool) -> None:
        """A callback brought the samples `start` to `end`; `broken`: some are missing before them."""
        silent, self._came_s = came_s - self._came_s > _SETTLE_S, came_s
        if broken and self._doubt is not None:
            if self._doubt.broken:
                self._decide(self._doubt, start)
            self._doubt = None
        delay_s = came_s - (end + self._lost) / self._rate_hz
        on_time = delay_s - self.usual_s <= STEP_S
        doubt = self._doubt
        if on_time and not broken and not (doubt and doubt.broken):
            self._doubt = None
            self._accept(came_s, delay_s, end)
            return
        since_s = came_s - (end - start) / self._rate_hz
        if doubt is None:
            doubt = self._doubt = _Doubt(start, broken, since_s, came_s)
        elif silent and not doubt.anew:  # what came before the silence says nothing about the loss
            first = doubt.start if doubt.broken else start
            doubt = self._doubt = _Doubt(first, doubt.broken, since_s, came_s, anew=True)
        doubt.recent_s = min(doubt.recent_s, delay_s)
        if came_s - doubt.half_s < _SETTLE_S:
            return
        if abs(doubt.earlier_s - doubt.recent_s) <= _SAME_S or came_s - doubt.since_s > _PATIENCE_S:
            self._decide(doubt, end)
            self._accept(came_s, came_s - (end + self._lost) / self._rate_hz, end)
        else:
            doubt.earlier_s, doubt.recent_s, doubt.half_s = doubt.recent_s, inf, came_s

    def finish(self, end: int) -> None:
        """No callback follows the one that brought samples up to `end`: decide any doubt by what is known."""
        if self._doubt is not None and self._doubt.broken:
            self._decide(self._doubt, end)
        self._doubt, self.sure = None, end

    def _decide(self, doubt: _Doubt, end: int) -> None:
        """The doubt is a loss; samples before `end` are settled by it."""
        usual_s = self.usual_s
        step_s = min(doubt.earlier_s, doubt.recent_s) - usual_s if usual_s < inf else 0.0
        lost = max(1, round(step_s * self._rate_hz))
        self._lost += lost
        at = doubt.start
        if not doubt.broken:
            # First come samples that had waited somewhere, then those recorded since the first late callback began.
            live = round((doubt.since_s - usual_s) * self._rate_hz) - self._lost
            at = min(max(doubt.start, live), end)
        self.losses.append(Loss(at, lost))
        self.sure = end
        self._doubt = None

    def _accept(self, came_s: float, delay_s: float, end: int) -> None:
        self.sure = end
        if came_s - self._span_s >= _SPAN_S:
            self._before_s, self._now_s, self._span_s = self._now_s, delay_s, came_s
        else:
            self._now_s = min(self._now_s, delay_s)


class Pace:
    """Compares the rate at which samples arrive with the nominal one, over at least 10 s, and warns once.

    The rate is the median over short spans: a loss, or a time without samples, spoils only one of them.
    """

    def __init__(self, name: str, rate_hz: int) -> None:
        self._name = name
        self._rate_hz = rate_hz
        self._last: tuple[float, int] | None = None  # the callback with the least delay of the previous span
        self._least: tuple[float, float, int] | None = None  # and of this span: its delay, time and end
        self._began_s = -inf
        self._rates_hz: deque[float] = deque(maxlen=_RATE_SPANS)

    def push(self, came_s: float, end: int) -> Iterator[str]:
        """Samples up to `end` have arrived."""
        this = (came_s - end / self._rate_hz, came_s, end)
        if came_s - self._began_s < _SPAN_S:
            self._least = min(self._least or this, this)
            return
        if self._least is not None:
            _, least_s, least_end = self._least
            if self._last is not None and least_s > self._last[0]:
                self._rates_hz.append((least_end - self._last[1]) / (least_s - self._last[0]))
            self._last = (least_s, least_end)
        self._least, self._began_s = this, came_s
        if len(self._rates_hz) < _RATE_SPANS:
            return
        measured_hz = median(self._rates_hz)
        if abs(measured_hz - self._rate_hz) > _WRONG_RATE * self._rate_hz:
            self._rates_hz = deque(maxlen=0)  # warn once
            yield (
                f"{self._name} delivers {measured_hz:.0f} samples a second instead of {self._rate_hz}, so that every "
                "sound is too high or too low; try another rate with --rate, or another device."
            )
