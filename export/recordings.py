"""Files as samples: read, resampled, and looked at before anything is learned from them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from edge_res.errors import DataError
from edge_res.export.entries import Entry
from edge_res.flow import Samples

_QUIET = 1e-4  # peak to peak, re full scale of a sound file
_FULL_SCALE = 0.999
_CLIPPED = 0.05  # more of its samples at full scale, and a clip is useless


def read_recordings(entry: Entry, rate_hz: int, channels: int) -> tuple[list[Samples], int]:
    """The samples of an entry, float32 `(samples, channels)` at `rate_hz`: one recording, or one a row of a 3-D array.

    Returns the rate that they had, too.

    A `.npy` file holds `(samples,)`, `(samples, channels)` or `(recordings, samples, channels)`, at the rate that the
    entry tells, else at `rate_hz`. A file of several channels where one is wanted is mixed to one.
    """
    path = entry.path
    try:
        if path.suffix.lower() == ".npy":
            array = np.load(path, allow_pickle=False).astype(np.float32)
            file_rate_hz = entry.rate_hz or rate_hz
            parts = list(array) if array.ndim == 3 else [array.reshape(len(array), -1)]
        else:
            samples, file_rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
            parts = [samples]
    except (soundfile.LibsndfileError, OSError, ValueError, EOFError, TypeError) as error:
        raise DataError(f"{path} cannot be read as audio: {error}") from None
    if entry.start_s or entry.end_s is not None:
        start = round(entry.start_s * file_rate_hz)
        stop = None if entry.end_s is None else round(entry.end_s * file_rate_hz)
        if start >= len(parts[0]) or (stop or 0) > len(parts[0]) + file_rate_hz // 100:
            raise DataError(
                f"{path} lasts {len(parts[0]) / file_rate_hz:.2f} s, and the manifest names {entry.start_s} to "
                f"{entry.end_s} s of it."
            )
        parts = [part[start:stop] for part in parts]
    return [resampled(fitted(path, part, channels), file_rate_hz, rate_hz) for part in parts], file_rate_hz


def fitted(path: Path, samples: Samples, channels: int) -> Samples:
    """Samples with the channels wanted: mixed to one, or as they are."""
    if samples.shape[1] == channels:
        return samples
    if channels != 1:
        raise DataError(f"{path} has {samples.shape[1]} channels; the front-end takes {channels}.")
    mixed: Samples = samples.mean(1, keepdims=True, dtype=np.float32)
    return mixed


def resampled(samples: Samples, file_rate_hz: int, rate_hz: int) -> Samples:
    if file_rate_hz == rate_hz:
        return samples
    out: Samples = soxr.resample(samples, file_rate_hz, rate_hz)
    return out


def fault_of(samples: Samples) -> str | None:
    """Why nothing can be learned from a recording: `not finite`, `empty or silent`, `clipped`; else None."""
    if not np.isfinite(samples).all():
        return "not finite"
    if not len(samples) or float(np.ptp(samples, axis=0).max()) < _QUIET:
        return "empty or silent"
    # Full scale is 1 in a sound file; in a sensor's units it means nothing, and nothing lies just there for long.
    at_peak = np.abs(np.abs(samples) - 1) < 1 - _FULL_SCALE
    return "clipped" if at_peak.mean() > _CLIPPED else None


def audio_sha256(samples: NDArray[np.float32]) -> str:
    """Hash of the audio, sound as 16-bit PCM: the same sound in another container has the same hash."""
    if np.abs(samples).max(initial=0) <= 1:
        return hashlib.sha256(np.rint(samples * 32768).clip(-32768, 32767).astype("<i2").tobytes()).hexdigest()
    return hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()
