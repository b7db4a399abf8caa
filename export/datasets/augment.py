"""Training windows: words in background as in a stream, or stretches of recordings, and how both are varied.

Nothing is ever padded with zeros: a stream has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from edge_res.clips.shaping import active_region, add_at, faded, from_db, levelled, repeated, rms, scaled
from edge_res.flow import Frames, Samples

_PART_LENGTH = 0.35  # the largest share of a word that is left where a window's edge cuts it


@dataclass(frozen=True)
class Variations:
    """How much windows are varied. Pairs are the bounds of a uniform distribution; shares are probabilities.

    Words: `snr_db`, or `clean_snr_db` for the share `clean`; `level_db`, the rms re full scale; the share `preceded` by
    the end of another word. Windows without a word: `noise_level_db`. Stretches: `gain_db`, and noise at `snr_db` added
    to the share `noisy`. All: the logarithm of the `speed` (by resampling, so the pitch changes too), the `warp` of the
    frequency axis (vocal tract length perturbation, Jaitly and Hinton 2013; log-mel only), and the longest masks in
    frames and bins (SpecAugment, Park et al. 2019).
    """

    snr_db: tuple[float, float] = (0.0, 35.0)
    clean: float = 0.0
    clean_snr_db: tuple[float, float] = (35.0, 60.0)
    level_db: tuple[float, float] = (-45.0, -15.0)
    preceded: float = 0.2
    noise_level_db: tuple[float, float] = (-85.0, -25.0)
    gain_db: tuple[float, float] = (-6.0, 6.0)
    noisy: float = 0.5
    speed: float = 0.14
    warp: float = 0.0
    time_mask: int = 15
    frequency_mask: int = 6


@dataclass(frozen=True)
class Scene:
    """How windows are made: their rate, length and channels, and the variations."""

    rate_hz: int
    samples: int
    channels: int = 1
    vary: Variations = Variations()


def background(rng: np.random.Generator, noise: Sequence[Samples], samples: int, channels: int = 1) -> Samples:
    """A random stretch of background, rms 1: a recording, or noise with a random spectral slope, or both."""
    out = np.zeros((samples, channels), np.float32)
    if noise and rng.random() < 0.75:
        recording = noise[int(rng.integers(len(noise)))]
        at = int(rng.integers(max(1, len(recording) - samples)))
        stretch = recording[at : at + samples]
        out[: len(stretch)] += levelled(stretch)
    if not noise or rng.random() < 0.35:
        out += scaled(sloped_noise(rng, samples, channels), rng.uniform(0.2, 1))
    if not out.any():
        out += sloped_noise(rng, samples, channels)
    return levelled(out)


def sloped_noise(rng: np.random.Generator, samples: int, channels: int = 1) -> Samples:
    """Gaussian noise of power 1 / frequency^x at rms 1, with x random between 0 (white) and 2 (brown)."""
    spectrum = np.fft.rfft(rng.standard_normal((samples, channels)), axis=0)
    spectrum *= (np.maximum(np.arange(len(spectrum)), 1) ** (-rng.uniform(0, 2) / 2))[:, None]
    return levelled(np.fft.irfft(spectrum, samples, axis=0).astype(np.float32))


def snr_of(rng: np.random.Generator, vary: Variations) -> float:
    """A signal-to-noise ratio of amplitudes, drawn from the noisy or the clean range."""
    return from_db(rng.uniform(*(vary.clean_snr_db if rng.random() < vary.clean else vary.snr_db)))


def word_window(
    rng: np.random.Generator, scene: Scene, clip: Samples, noise: Sequence[Samples], other: Samples | None = None
) -> Samples:
    """A window with the whole word of `clip` somewhere in it; with `other`, the end of another word before it."""
    clip = respeed(rng, scene, clip)
    start, stop = active_region(clip, scene.rate_hz)
    room = scene.samples - (stop - start)
    onset = int(rng.integers(0, room + 1)) if room > 0 else room // 2
    level = from_db(rng.uniform(*scene.vary.level_db))
    clip = scaled(faded(clip, scene.rate_hz), level / rms(clip[start:stop]))
    window = scaled(background(rng, noise, scene.samples, scene.channels), level / snr_of(rng, scene.vary))
    add_at(window, clip, onset - start)
    if other is not None and onset > scene.rate_hz // 4:
        end = onset - scene.rate_hz // 20
        window[:end] += part_of_word(rng, scene, other, level, at_end=False)[:end]
    return window


def part_window(rng: np.random.Generator, scene: Scene, clip: Samples, noise: Sequence[Samples]) -> Samples:
    """A window with only a part of a word in it, cut off by one of the window's edges."""
    level = from_db(rng.uniform(*scene.vary.level_db))
    window = scaled(background(rng, noise, scene.samples, scene.channels), level / snr_of(rng, scene.vary))
    window += part_of_word(rng, scene, clip, level, at_end=bool(rng.random() < 0.5))
    return window


def part_of_word(rng: np.random.Generator, scene: Scene, clip: Samples, level: float, at_end: bool) -> Samples:
    """An otherwise empty window: a word's beginning at the window's end, or its end at the window's beginning."""
    start, stop = active_region(clip, scene.rate_hz)
    seen = int((stop - start) * rng.uniform(0.05, _PART_LENGTH))
    out = np.zeros((scene.samples, scene.channels), np.float32)
    at = scene.samples - seen - start if at_end else seen - stop
    add_at(out, scaled(faded(clip, scene.rate_hz), level / rms(clip[start:stop])), at)
    return out


def silent_window(rng: np.random.Generator, scene: Scene, noise: Sequence[Samples]) -> Samples:
    """A window of background only, from near digital silence to loud."""
    level = from_db(rng.uniform(*scene.vary.noise_level_db))
    return scaled(background(rng, noise, scene.samples, scene.channels), level)


def stretch_window(rng: np.random.Generator, scene: Scene, clip: Samples, noise: Sequence[Samples]) -> Samples:
    """A random stretch of a recording at a random gain, perhaps with noise; a short recording is repeated."""
    vary = scene.vary
    longest = int(scene.samples * np.exp(vary.speed)) + 2
    if len(clip) > longest:
        at = int(rng.integers(0, len(clip) - longest + 1))
        clip = clip[at : at + longest]
    else:
        clip = np.roll(clip, int(rng.integers(len(clip))), axis=0)
    window = repeated(respeed(rng, scene, clip), scene.samples)
    if rng.random() < vary.noisy:
        level = rms(window - window.mean(0))  # gravity is not signal
        window = window + scaled(background(rng, noise, scene.samples, scene.channels), level / snr_of(rng, vary))
    return scaled(window, from_db(rng.uniform(*vary.gain_db)))


def respeed(rng: np.random.Generator, scene: Scene, clip: Samples) -> Samples:
    """The clip resampled to a random speed, which changes its pitch too."""
    if not scene.vary.speed:
        return clip
    factor = float(np.exp(rng.uniform(-scene.vary.speed, scene.vary.speed)))
    out: Samples = soxr.resample(clip, scene.rate_hz * factor, scene.rate_hz, "QQ")
    return out


def mask(rng: np.random.Generator, frames: Frames, longest_time: int = 15, longest_frequency: int = 6) -> Frames:
    """SpecAugment (Park et al. 2019): one stretch of frames and one of bins set to 0, the mean of the training data."""
    out: Frames = frames.copy()
    n = int(rng.integers(0, min(longest_time, len(out)) + 1))
    at = int(rng.integers(0, len(out) - n + 1))
    out[at : at + n] = 0
    n = int(rng.integers(0, min(longest_frequency, out.shape[1]) + 1))
    at = int(rng.integers(0, out.shape[1] - n + 1))
    out[:, at : at + n] = 0
    return out
