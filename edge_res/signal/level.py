"""How loud a signal is, and warnings about a flat line, clipping and a constant offset."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from edge_res.flow import Samples

FLOOR_DB = -80.0
FULL_SCALE = 32767 / 32768  # the largest value of a 16-bit converter
# The largest shares of samples at full scale. The gain of a live signal can be turned down and a take be repeated; a
# given clip is all there is, and a model still learns from one that clips a little.
MOST_CLIPPED_LIVE = 0.001
MOST_CLIPPED_CLIP = 0.05
_FLAT_SAMPLES = 100  # at least: a slow sensor may repeat a value a few times
_DC_SHARE = 0.05
_JUDGED_S = 5.0  # how much signal DC offset and clipping are judged by


def decibels(peak: float) -> float:
    """A peak in dB relative to full scale, at least `FLOOR_DB`.

    >>> round(decibels(0.5), 1)
    -6.0
    """
    return max(FLOOR_DB, 20 * math.log10(peak + 1e-9))


def clipped_share(samples: Samples, most: float = math.inf) -> float:
    """The share of samples whose magnitude is at full scale or above it, up to `most`."""
    magnitudes = np.abs(samples)
    return float(np.mean((magnitudes >= FULL_SCALE) & (magnitudes <= most)))


class Level:
    """The peak of the last block, and warnings, each given once and with its figure.

    `audio` says that full scale is ±1 and that the mean should be 0, as with a microphone; neither holds for a sensor,
    where only a flat line is a fault. Fixed in size; two passes over each block.

    >>> level = Level("mic:", rate_hz=1000, audio=True)
    >>> list(level.push(np.zeros((2000, 1), np.float32)))
    ['mic: is a flat line: each sample of the last 2.0 s is 0; check that it is connected and not muted.']
    """

    def __init__(self, name: str, rate_hz: int, audio: bool, flat_s: float = 2.0) -> None:
        self.peak = 0.0  # of the last block
        self._name = name
        self._rate_hz = rate_hz
        self._audio = audio
        self._flat_needed = max(flat_s * rate_hz, _FLAT_SAMPLES)
        self._flat = self._heard = 0
        self._clipped = 0.0  # samples at full scale
        self._last: list[float] = []  # the value that each channel keeps
        self._sum = 0.0
        self._warned: set[str] = set()

    def push(self, samples: Samples) -> Iterator[str]:
        """Take float32 `(n, channels)`; yield a warning for each fault, the first time it appears."""
        if not len(samples):
            self.peak = 0.0
            return
        flat = samples.ravel()
        high, low = float(flat[flat.argmax()]), float(flat[flat.argmin()])  # `max` takes four times as long
        self.peak = max(high, -low)
        if high == low or (samples.shape[1] > 1 and _stays(samples)):
            before, self._last = self._last, samples[0].tolist()
            self._flat = self._flat + len(samples) if self._last == before else len(samples)
        else:
            self._flat = 0
        if self._flat >= self._flat_needed and "flat" not in self._warned:
            self._warned.add("flat")
            value = ", ".join(f"{value:g}" for value in (self._last if high != low else [low]))
            yield (
                f"{self._name} is a flat line: each sample of the last {self._flat / self._rate_hz:.1f} s is {value}; "
                "check that it is connected and not muted."
            )
        if self._audio:
            if self.peak >= FULL_SCALE:
                self._clipped += clipped_share(samples) * samples.size
            self._heard += samples.size
            self._sum += float(np.add.reduce(flat))
            if self._heard >= _JUDGED_S * self._rate_hz * samples.shape[1]:
                yield from self._judge()

    def _judge(self) -> Iterator[str]:
        """Judge clipping and the mean, over some seconds at a time."""
        share, mean = self._clipped / self._heard, self._sum / self._heard
        self._heard = 0
        self._clipped = self._sum = 0.0
        if share > MOST_CLIPPED_LIVE and "clipped" not in self._warned:
            self._warned.add("clipped")
            yield f"{self._name} clips: {share:.1%} of its samples are at full scale; reduce its gain."
        if abs(mean) > _DC_SHARE and "offset" not in self._warned:
            self._warned.add("offset")
            yield (
                f"{self._name} has a constant offset of {mean:+.3f} of full scale; check its wiring and bias voltage."
            )


def _stays(samples: Samples) -> bool:
    """Whether each channel keeps one value, as when a sensor hangs and repeats its last reading."""
    return bool((samples[0] == samples[-1]).all()) and bool((samples == samples[0]).all())
