"""Counters of a run."""

from __future__ import annotations

import math

import numpy as np

from edge_res.flow import Health


class Stats:
    """Counters of a run, of a fixed size however long it takes; times are the work of a hop, waiting not included."""

    _RATIO = 1.02  # between the bounds of two buckets of the histogram: a percentile is exact to 2 %
    _LOG = math.log(_RATIO)
    _BUCKETS = 1200  # up to 1.02 ** 1200 ns: 21 s

    def __init__(self) -> None:
        self.audio_s = 0.0
        self.hops = 0
        self.events = 0
        self.lost = 0
        self.gaps = 0
        self.peak = 0.0  # of the last block
        self.interruptions = 0  # how often the source left "healthy"
        self.state = "healthy"
        self.last_hop_us = 0.0
        self._total_ns = 0
        self._waiting_ns = 0
        self._histogram = [0] * self._BUCKETS

    def changed(self, health: Health) -> None:
        """Take a change of the source's state."""
        self.interruptions += self.state == "healthy" != health.state
        self.state = health.state

    def work(self, spent_ns: int, hops: int) -> None:
        """The work that completes `hops` hops, each with the same share of it, or that is for one not complete yet."""
        self._waiting_ns += spent_ns
        if hops:
            share_ns = self._waiting_ns / hops
            self.hops += hops
            self.last_hop_us = share_ns / 1000
            self._total_ns += self._waiting_ns
            self._waiting_ns = 0
            self._histogram[min(self._BUCKETS - 1, int(math.log(max(1, share_ns)) / self._LOG))] += hops

    @property
    def mean_us(self) -> float:
        return self._total_ns / max(1, self.hops) / 1000

    def percentile_us(self, percent: float) -> float:
        """The time that `percent` of the hops took at most."""
        if not self.hops:
            return 0.0
        bucket = np.searchsorted(np.cumsum(self._histogram), self.hops * percent / 100)
        return float(self._RATIO ** (float(bucket) + 1)) / 1000

    def __str__(self) -> str:
        text = f"{self.audio_s:.1f} s of audio, {self.hops} hops, {self.events} events, {self.lost} samples lost"
        if self.gaps:
            text += f" in {self.gaps} gap{'s' * (self.gaps != 1)}"
        if self.interruptions:
            text += f", interrupted {self.interruptions} time{'s' * (self.interruptions != 1)}"
        if self.state != "healthy":
            text += f", {self.state} at the end"
        if not self.hops:
            return text
        return f"{text}; a hop took {self.mean_us:.0f} µs on average, {self.percentile_us(99):.0f} µs at p99"
