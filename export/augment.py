"""Training windows: words placed in noise, as they will be met in a stream, never surrounded by zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from edge_res.flow import Frames

Mono = NDArray[np.float32]  # (samples,)
_FADE_S = 0.01
_PART_LENGTH = 0.35  # at most this much of a word is seen when it is cut by the window's edge


@dataclass(frozen=True)
class Scene:
    """How windows are made: their length, and how far the variations go."""

    rate_hz: int
    samples: int
    snr_db: tuple[float, float] = (0.0, 35.0)
    level_db: tuple[float, float] = (-45.0, -15.0)  # rms of the word, re full scale
    noise_level_db: tuple[float, float] = (-85.0, -25.0)  # rms of a window without a word
    speed: float = 0.14  # the logarithm of the speed is at most this, either way


def active_region(clip: Mono, rate_hz: int, below_peak_db: float = 25.0) -> tuple[int, int]:
    """First and one past the last sample of the word in a clip: where 10 ms powers come near the loudest one."""
    step = rate_hz // 100
    powers = np.square(clip[: len(clip) // step * step].reshape(-1, step)).mean(1)
    powers = np.convolve(powers, np.ones(3) / 3, "same")
    loud = np.flatnonzero(powers > powers.max() * 10 ** (-below_peak_db / 10))
    return int(loud[0]) * step, min(len(clip), (int(loud[-1]) + 1) * step)


def rms(samples: Mono) -> float:
    return float(np.sqrt(np.square(samples, dtype=np.float64).mean()) + 1e-9)


def from_db(db: float) -> float:
    return float(10 ** (db / 20))


def scaled(samples: Mono, factor: float) -> Mono:
    out: Mono = samples * np.float32(factor)
    return out


def levelled(samples: Mono) -> Mono:
    """The samples at rms 1."""
    out: Mono = samples / np.float32(rms(samples))
    return out


def faded(clip: Mono, rate_hz: int) -> Mono:
    """The clip with its own background faded in and out, so that it has no hard edge."""
    n = min(round(_FADE_S * rate_hz), len(clip) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    out: Mono = clip.copy()
    out[:n] *= ramp
    out[len(out) - n :] *= ramp[::-1]
    return out


def add_at(window: Mono, clip: Mono, at: int) -> None:
    """Add the part of `clip` that lies inside the window when its first sample is at `at`."""
    start, stop = max(at, 0), min(at + len(clip), len(window))
    if start < stop:
        window[start:stop] += clip[start - at : stop - at]


def background(rng: np.random.Generator, noise: Sequence[Mono], samples: int) -> Mono:
    """A random stretch of background, rms 1: a recording, or noise with a random spectral slope, or both."""
    out = np.zeros(samples, np.float32)
    if noise and rng.random() < 0.75:
        recording = noise[int(rng.integers(len(noise)))]
        at = int(rng.integers(len(recording) - samples))
        out += levelled(recording[at : at + samples])
    if not noise or rng.random() < 0.35:
        out += scaled(sloped_noise(rng, samples), rng.uniform(0.2, 1))
    if not out.any():
        out += sloped_noise(rng, samples)
    return levelled(out)


def sloped_noise(rng: np.random.Generator, samples: int) -> Mono:
    """Gaussian noise whose power falls with frequency to a random power between 0 (white) and 2 (brown); rms 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1) ** (-rng.uniform(0, 2) / 2)
    return levelled(np.fft.irfft(spectrum, samples).astype(np.float32))


def word_window(
    rng: np.random.Generator, scene: Scene, clip: Mono, noise: Sequence[Mono], other: Mono | None = None
) -> Mono:
    """A window with the whole word of `clip` somewhere in it; with `other`, the end of another word before it."""
    clip = respeed(rng, scene, clip)
    start, stop = active_region(clip, scene.rate_hz)
    room = scene.samples - (stop - start)
    onset = int(rng.integers(0, room + 1)) if room > 0 else room // 2
    level = from_db(rng.uniform(*scene.level_db))
    clip = scaled(faded(clip, scene.rate_hz), level / rms(clip[start:stop]))
    window = scaled(background(rng, noise, scene.samples), level * from_db(-rng.uniform(*scene.snr_db)))
    add_at(window, clip, onset - start)
    if other is not None and onset > scene.rate_hz // 4:
        end = onset - scene.rate_hz // 20
        window[:end] += part_of_word(rng, scene, other, level, at_end=False)[:end]
    return window


def part_window(rng: np.random.Generator, scene: Scene, clip: Mono, noise: Sequence[Mono]) -> Mono:
    """A window with only a part of a word in it, cut by one of the window's edges."""
    level = from_db(rng.uniform(*scene.level_db))
    window = scaled(background(rng, noise, scene.samples), level * from_db(-rng.uniform(*scene.snr_db)))
    window += part_of_word(rng, scene, clip, level, at_end=bool(rng.random() < 0.5))
    return window


def part_of_word(rng: np.random.Generator, scene: Scene, clip: Mono, level: float, at_end: bool) -> Mono:
    """An otherwise empty window: a word's beginning at the window's end, or its end at the window's beginning."""
    start, stop = active_region(clip, scene.rate_hz)
    seen = int((stop - start) * rng.uniform(0.05, _PART_LENGTH))
    out = np.zeros(scene.samples, np.float32)
    at = scene.samples - seen - start if at_end else seen - stop
    add_at(out, scaled(faded(clip, scene.rate_hz), level / rms(clip[start:stop])), at)
    return out


def silent_window(rng: np.random.Generator, scene: Scene, noise: Sequence[Mono]) -> Mono:
    """A window of background only, from near digital silence to loud."""
    return scaled(background(rng, noise, scene.samples), from_db(rng.uniform(*scene.noise_level_db)))


def respeed(rng: np.random.Generator, scene: Scene, clip: Mono) -> Mono:
    """The clip faster or slower, and its pitch with it (resampling)."""
    if not scene.speed:
        return clip
    factor = float(np.exp(rng.uniform(-scene.speed, scene.speed)))
    out: Mono = soxr.resample(clip, scene.rate_hz * factor, scene.rate_hz, "QQ")
    return out


def mask(rng: np.random.Generator, frames: Frames, longest_time: int = 15, longest_frequency: int = 6) -> Frames:
    """SpecAugment (Park et al. 2019): one stretch of frames and one of bins set to 0, the mean of the training data."""
    out: Frames = frames.copy()
    n = int(rng.integers(0, longest_time + 1))
    at = int(rng.integers(0, len(out) - n + 1))
    out[at : at + n] = 0
    n = int(rng.integers(0, longest_frequency + 1))
    at = int(rng.integers(0, out.shape[1] - n + 1))
    out[:, at : at + n] = 0
    return out
