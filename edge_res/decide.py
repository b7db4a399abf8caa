"""Scores to events: smoothing, a threshold for each label, hysteresis, refractory time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from edge_res.errors import ConfigError
from edge_res.flow import Event, Scores
from edge_res.model.bundle import DecideParams


def with_thresholds(params: DecideParams, changes: Mapping[str, float]) -> DecideParams:
    """The parameters with some thresholds replaced, `*` being all that are not named; background labels have none."""
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
                f"A threshold is given for {label!r}, which is no label that fires; those are {', '.join(thresholds)}."
            )
    return replace(params, thresholds=thresholds)


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
        self._past = np.zeros((params.smooth_hops, len(labels)), np.float32)
        self._next = 0  # row of the past that the next scores replace
        self._sum = np.zeros(len(labels), np.float32)  # of the past
        self._smooth = np.zeros(len(labels), np.float32)  # its mean, kept up only while it matters
        self._above = np.zeros(len(labels), bool)
        self._on = np.zeros(len(labels), bool)
        self._count_on = 0
        self._onset_s = np.full(len(labels), -np.inf)
        self._start_s = [0.0] * len(labels)
        self._at_s = 0.0

    def push(self, scores: Scores) -> list[Event]:
        """Take the next scores; return what switches on or off by them."""
        self._past[self._next] = scores.values
        self._next = (self._next + 1) % len(self._past)
        # At the start, and after a gap, what is missing of the past counts as 0: one hop alone cannot fire.
        np.add.reduce(self._past, axis=0, out=self._sum)
        self._at_s = scores.at_s
        np.greater_equal(self._sum, self._on_sum, out=self._above)
        if not (self._count_on or np.count_nonzero(self._above)):  # nearly always; `any` takes five times as long
            return []
        np.divide(self._sum, len(self._past), out=self._smooth)
        rising = self._above & ~self._on
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
        self._start_s[i] = self._at_s - self._delay_s
        return self._event("on", i, None)

    def _switch_off(self, i: int) -> Event:
        self._on[i] = False
        self._count_on -= 1
        return self._event("off", i, round(self._at_s - self._delay_s, 4))

    def _event(self, what: Literal["on", "off"], i: int, end_s: float | None) -> Event:
        return Event(
            event=what,
            label=self._labels[i],
            score=round(float(self._smooth[i]), 4),
            start_s=round(self._start_s[i], 4),
            at_s=self._at_s,
            source=self._source,
            end_s=end_s,
        )
