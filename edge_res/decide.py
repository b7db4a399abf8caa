"""Scores to events: smoothing, a threshold for each label, hysteresis, refractory time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edge_res.errors import ConfigError
from edge_res.flow import Event, Scores
from edge_res.model.bundle import DecideParams

_SURELY_BELOW = 0.999  # of a threshold: far from where rounding of the share could matter


def with_thresholds(params: DecideParams, changes: Mapping[str, float]) -> DecideParams:
    """The parameters with some thresholds replaced, `*` being all not named; background labels have no threshold."""
    thresholds = dict(params.thresholds)
    for label, value in sorted(changes.items(), key=lambda change: change[0] != "*"):
        if not 0 < value <= 1:
            raise ConfigError(f"The threshold of {label!r} is {value:g}; it must be above 0 and at most 1.")
        if label == "*":
            thresholds = dict.fromkeys(thresholds, value)
        elif label in thresholds:
            thresholds[label] = value
        else:
            raise ConfigError(
                f"A threshold is given for {label!r}, which is not a label that can fire; use one of "
                f"{', '.join(thresholds)}."
            )
    return replace(params, thresholds=thresholds)


@dataclass(frozen=True, slots=True)
class Nearest:
    """The highest that a label came to its threshold, by the ratio of both."""

    label: str
    score: float
    threshold: float
    at_s: float


class Decide:
    """Follows one stream of scores: `push` returns the events of a decision, `finish` closes what is still on."""

    def __init__(self, params: DecideParams, labels: Sequence[str], delay_s: float, source: str) -> None:
        self._labels = tuple(labels)
        self._delay_s = delay_s
        self._source = source
        self._refractory_s = params.refractory_s - 1e-6  # times are float seconds, rounded
        # Background labels have no threshold and so never fire.
        self._on_at = np.array([params.thresholds.get(label, np.inf) for label in labels], np.float32)
        self._on_sum = self._on_at * np.float32(params.smooth_hops)
        self._off_at = self._on_at * np.float32(params.release)
        self._per_threshold = 1 / self._on_sum
        self._past = np.zeros((params.smooth_hops, len(labels)), np.float32)
        self._next = 0  # row of the past that the next scores replace
        self._sum = np.zeros(len(labels), np.float32)  # of the past
        self._share = np.zeros(len(labels), np.float32)  # of the sum that switches a label on
        self._smooth = np.zeros(len(labels), np.float32)  # the mean of the past, kept up only while it matters
        self._highest = np.zeros(len(labels), np.float32)  # of the smooth scores since each onset
        self._on = np.zeros(len(labels), bool)
        self._count_on = 0
        self._onset_s = np.full(len(labels), -np.inf)
        self._start_s = [0.0] * len(labels)
        self._at_s = 0.0
        self._nearest = (0.0, 0, 0.0)  # share of the threshold, label, when

    @property
    def nearest(self) -> Nearest | None:
        """How near a label has come to its threshold; None where no label can fire, or nothing was decided."""
        share, i, at_s = self._nearest
        if not share:
            return None
        threshold = round(float(self._on_at[i]), 6)  # as float32 has it
        return Nearest(self._labels[i], round(share * threshold, 4), threshold, at_s)

    def push(self, scores: Scores) -> list[Event]:
        """Take the next scores; return what switches on or off by them."""
        self._past[self._next] = scores.values
        self._next = (self._next + 1) % len(self._past)
        # At the start, and after a gap, what is missing of the past counts as 0: one hop alone cannot fire.
        np.add.reduce(self._past, axis=0, out=self._sum)
        self._at_s = scores.at_s
        np.multiply(self._sum, self._per_threshold, out=self._share)
        i = int(self._share.argmax())
        share = float(self._share[i])
        if share > self._nearest[0]:
            self._nearest = (share, i, scores.at_s)
        if share < _SURELY_BELOW and not self._count_on:  # nearly always
            return []
        np.divide(self._sum, len(self._past), out=self._smooth)
        np.maximum(self._highest, self._smooth, out=self._highest)
        rising = (self._sum >= self._on_sum) & ~self._on
        falling = (self._smooth < self._off_at) & self._on
        events = [self._switch_off(int(i)) for i in np.flatnonzero(falling)]
        ready = scores.at_s - self._onset_s >= self._refractory_s
        return events + [self._switch_on(int(i)) for i in np.flatnonzero(rising & ready)]

    def finish(self) -> list[Event]:
        """At the end of the stream and at a gap: what is on goes off, and the past is forgotten."""
        events = [self._switch_off(int(i)) for i in np.flatnonzero(self._on)]
        self._past[...] = 0
        self._onset_s[...] = -np.inf
        return events

    def _switch_on(self, i: int) -> Event:
        self._on[i] = True
        self._count_on += 1
        self._onset_s[i] = self._at_s
        self._start_s[i] = round(self._at_s - self._delay_s, 4)
        self._highest[i] = self._smooth[i]
        return self._event("on", i)

    def _switch_off(self, i: int) -> Event:
        self._on[i] = False
        self._count_on -= 1
        end_s = round(self._at_s - self._delay_s, 4)
        return replace(
            self._event("off", i),
            end_s=end_s,
            duration_s=round(end_s - self._start_s[i], 4),
            peak=round(float(self._highest[i]), 4),
        )

    def _event(self, what: Literal["on", "off"], i: int) -> Event:
        return Event(
            event=what,
            label=self._labels[i],
            score=round(float(self._smooth[i]), 4),
            start_s=self._start_s[i],
            at_s=self._at_s,
            source=self._source,
        )
