"""Streaming sample rate conversion, with soxr."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_res.flow import Samples


class Resampler:
    """Converts float32 `(samples, channels)` from one rate to another, bit for bit the same under any split.

    soxr at quality HQ holds back about ten milliseconds: `flush` returns them at the end of the signal or before a
    gap, and `reset` starts a new signal. If the rates are equal, samples pass through and soxr is not even imported.

    >>> resampler = Resampler(48000, 16000, channels=1)
    >>> second = np.zeros((48000, 1), np.float32)
    >>> len(resampler.push(second)) + len(resampler.flush())
    16000
    """

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        self.channels = channels
        self._soxr: Any = None
        if from_hz != to_hz:
            import soxr

            self._soxr = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="HQ")

    def push(self, samples: Samples) -> Samples:
        """Take `(n, channels)`; return the output that is settled so far, `(k, channels)`, where k may be 0."""
        return samples if self._soxr is None else self._convert(samples, last=False)

    def flush(self) -> Samples:
        """Return the rest of the output, after the last push; only `reset` may follow."""
        nothing = np.empty((0, self.channels), np.float32)
        return nothing if self._soxr is None else self._convert(nothing, last=True)

    def reset(self) -> None:
        """Start a new signal: the next sample pushed is its first."""
        if self._soxr is not None:
            self._soxr.clear()

    def _convert(self, samples: Samples, last: bool) -> Samples:
        converted: Samples = self._soxr.resample_chunk(samples, last=last)
        return converted
