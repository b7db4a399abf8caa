"""Basic operations on clips: level, fades, the active region."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_res.flow import Samples

_FADE_S = 0.01


def active_region(clip: Samples, rate_hz: int, below_peak_db: float = 25.0) -> tuple[int, int]:
    """First and one past the last sample of the word in a clip: where 10 ms powers come near the loudest one."""
    step = max(1, rate_hz // 100)
    whole = np.square(clip[: len(clip) // step * step]).mean(1)
    powers = np.convolve(whole.reshape(-1, step).mean(1), np.ones(3) / 3, "same")
    loud = np.flatnonzero(powers > powers.max(initial=0) * 10 ** (-below_peak_db / 10))
    return (int(loud[0]) * step, min(len(clip), (int(loud[-1]) + 1) * step)) if len(loud) else (0, len(clip))


def rms(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean()) + 1e-9)


def from_db(db: float) -> float:
    return float(10 ** (db / 20))


def scaled(samples: Samples, factor: float) -> Samples:
    out: Samples = samples * np.float32(factor)
    return out


def levelled(samples: Samples) -> Samples:
    """The samples at rms 1."""
    return scaled(samples, 1 / rms(samples))


def faded(clip: Samples, rate_hz: int) -> Samples:
    """The clip with its own background faded in and out, so that it has no hard edge."""
    n = min(round(_FADE_S * rate_hz), len(clip) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)[:, None]
    out: Samples = clip.copy()
    out[:n] *= ramp
    out[len(out) - n :] *= ramp[::-1]
    return out


def add_at(window: Samples, clip: Samples, at: int) -> None:
    """Add the part of `clip` that lies inside the window when its first sample is at `at`."""
    start, stop = max(at, 0), min(at + len(clip), len(window))
    if start < stop:
        window[start:stop] += clip[start - at : stop - at]


def repeated(clip: Samples, samples: int) -> Samples:
    """The first `samples` of a clip, repeated where it is shorter."""
    out: Samples = np.resize(clip, (samples, clip.shape[1])) if len(clip) < samples else clip[:samples]
    return out
