"""Shaping of clips: levels, fades, the active region, placing in a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_res.flow import Samples

_FADE_S = 0.01


def from_db(db: float) -> float:
    """Decibels as a factor of amplitude."""
    return float(10 ** (db / 20))


def rms(samples: NDArray[np.float32]) -> float:
    """The root mean square; never 0, so that a level can be divided by it."""
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean()) + 1e-9)


def scaled(samples: Samples, factor: float) -> Samples:
    """The samples times a factor, still float32."""
    out: Samples = samples * np.float32(factor)
    return out


def levelled(samples: Samples) -> Samples:
    """The samples scaled to rms 1."""
    return scaled(samples, 1 / rms(samples))


def active_region(clip: Samples, rate_hz: int, below_peak_db: float = 25.0) -> tuple[int, int]:
    """First and one past the last sample of the word in a clip.

    The word is where the 10 ms power comes within `below_peak_db` of the loudest; a clip without any is all active.
    """
    step = max(1, rate_hz // 100)
    whole = np.square(clip[: len(clip) // step * step]).mean(1)
    powers = np.convolve(whole.reshape(-1, step).mean(1), np.ones(3) / 3, "same")
    loud = np.flatnonzero(powers > powers.max(initial=0) * 10 ** (-below_peak_db / 10))
    return (int(loud[0]) * step, min(len(clip), (int(loud[-1]) + 1) * step)) if len(loud) else (0, len(clip))


def faded(clip: Samples, rate_hz: int) -> Samples:
    """The clip faded in and out over 10 ms, so that its background has no hard edge."""
    n = min(round(_FADE_S * rate_hz), len(clip) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)[:, None]
    out: Samples = clip.copy()
    out[:n] *= ramp
    out[len(out) - n :] *= ramp[::-1]
    return out


def repeated(clip: Samples, samples: int) -> Samples:
    """The first `samples` of a clip, which is repeated if it is shorter."""
    out: Samples = np.resize(clip, (samples, clip.shape[1])) if len(clip) < samples else clip[:samples]
    return out


def add_at(window: Samples, clip: Samples, at: int) -> None:
    """Add to `window` the part of `clip` that lies inside it if the clip's first sample is at `at`."""
    start, stop = max(at, 0), min(at + len(clip), len(window))
    if start < stop:
        window[start:stop] += clip[start - at : stop - at]
