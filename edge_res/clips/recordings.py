"""Files as samples: read, resampled, and checked before anything is learned from them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_res.clips.manifest import Entry
from edge_res.errors import DataError
from edge_res.flow import Samples
from edge_res.signal.level import MOST_CLIPPED_CLIP, clipped_share
from edge_res.signal.resample import Resampler
from edge_res.sources.files import SoundFileError, read_sound

_QUIET = 1e-4  # peak to peak, re full scale of a sound file
_STEPS = 32768  # of 16-bit sound, from 0 to full scale
_NAMED = 3  # files named in a sentence about many
_LONG = 1 << 18  # samples: of a longer recording, a window is only a small part


@dataclass(frozen=True)
class Recordings:
    """The recordings of an entry, each float32 `(samples, channels)`, and the rate and channels of its file."""

    samples: list[Samples]
    rate_hz: int
    channels: int


class UnusableError(DataError):
    """A file that cannot be used; `why` gives the reason in a few words."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} cannot be used: {why}.")
        self.path = path
        self.why = why


@dataclass(frozen=True)
class LeftOut:
    """A clip that is not used, and the reason in a few words."""

    path: Path
    why: str


def read_recordings(entry: Entry, rate_hz: int, channels: int) -> Recordings:
    """The samples of an entry at `rate_hz`: one recording, or one per row of a 3-D array.

    A `.npy` file holds `(samples,)`, `(samples, channels)` or `(recordings, samples, channels)`, at the entry's rate,
    or at `rate_hz` if the entry has none. If one channel is wanted, several are mixed to one. Of a long recording, only
    the entry's part is read. Raises `UnusableError`.
    """
    path = entry.path
    try:
        if path.suffix.lower() == ".npy":
            parts, file_rate_hz = arrays_of(entry, rate_hz)
        else:
            parts, file_rate_hz = sound_of(entry)
    except UnusableError:
        raise
    except (SoundFileError, OSError, ValueError, EOFError, TypeError) as error:
        raise UnusableError(path, f"cannot be read as audio: {reason_of(error)}") from None
    found = parts[0].shape[1] if parts else channels
    if channels not in (1, found):
        raise UnusableError(path, f"{found} channels, the front-end takes {channels}")
    return Recordings([resampled(mixed(part, channels), file_rate_hz, rate_hz) for part in parts], file_rate_hz, found)


def reason_of(error: Exception) -> str:
    """What is wrong with a file, without its name."""
    reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
    return str(reason).rstrip(".")


def arrays_of(entry: Entry, rate_hz: int) -> tuple[list[Samples], int]:
    """The arrays of a `.npy` file, and their rate."""
    is_part = entry.start_s or entry.end_s is not None
    array = np.load(entry.path, mmap_mode="r" if is_part else None, allow_pickle=False)
    file_rate_hz = entry.rate_hz or rate_hz
    rows = array if array.ndim == 3 else array.reshape(1, len(array), -1)
    start, stop = part_of(entry, rows.shape[1], file_rate_hz)
    return [np.array(row[start:stop], np.float32) for row in rows], file_rate_hz


def sound_of(entry: Entry) -> tuple[list[Samples], int]:
    """The samples of a sound file, as `listen` reads it, and their rate."""

    def part(samples: int, rate_hz: int) -> tuple[int, int]:
        return part_of(entry, samples, rate_hz)

    samples, rate_hz = read_sound(str(entry.path), part if entry.start_s or entry.end_s is not None else None)
    return [samples], rate_hz


def part_of(entry: Entry, samples: int, rate_hz: int) -> tuple[int, int]:
    """First and one past the last sample of the part of a recording that an entry names."""
    start = round(entry.start_s * rate_hz)
    stop = samples if entry.end_s is None else round(entry.end_s * rate_hz)
    if (start and start >= samples) or stop > samples + rate_hz // 100:
        named = f"{entry.start_s} to {'its end' if entry.end_s is None else f'{entry.end_s} s'}"
        raise UnusableError(entry.path, f"lasts {samples / rate_hz:.2f} s, the manifest names {named}")
    return start, min(stop, samples)


def mixed(samples: Samples, channels: int) -> Samples:
    """The channels mixed to one, if one is wanted."""
    if samples.shape[1] == channels:
        return samples
    out: Samples = samples.mean(1, keepdims=True, dtype=np.float32)
    return out


def resampled(samples: Samples, file_rate_hz: int, rate_hz: int) -> Samples:
    """A whole signal at another rate, by the resampler of `listen`."""
    if file_rate_hz == rate_hz:
        return samples
    resampler = Resampler(file_rate_hz, rate_hz, samples.shape[1])
    return np.concatenate([resampler.push(samples), resampler.flush()])


def fault_of(samples: Samples) -> str | None:
    """Why nothing can be learned from a recording: `not finite`, `empty or silent` or `clipped`; None if it is fine."""
    if not np.isfinite(samples).all():
        return "not finite"
    if not len(samples) or float(np.ptp(samples, axis=0).max()) < _QUIET:
        return "empty or silent"
    # Full scale is 1 in a sound file. In a sensor's unit 1 is a value like any other, and few samples lie just there.
    return "clipped" if clipped_share(samples, most=1.0) > MOST_CLIPPED_CLIP else None


def audio_sha256(samples: NDArray[np.float32]) -> str:
    """Hash of the audio, sound as 16-bit PCM: the same sound in another container has the same hash."""
    if np.abs(samples).max(initial=0) <= 1:
        return hashlib.sha256(np.rint(samples * _STEPS).clip(-_STEPS, _STEPS - 1).astype("<i2").tobytes()).hexdigest()
    return hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()


def packed(samples: Samples) -> NDArray[np.int16] | Samples:
    """Samples in half the memory where that loses nothing: 16-bit sound at its own rate.

    Long recordings stay as they are: they would be unpacked for each window that is cut from them.
    """
    steps = samples * np.float32(_STEPS)
    if len(samples) > _LONG or not (np.rint(steps) == steps).all() or not (np.abs(steps + 0.5) < _STEPS).all():
        return samples
    integers: NDArray[np.int16] = steps.astype(np.int16)
    return integers


def unpacked(samples: NDArray[np.int16] | Samples) -> Samples:
    """The float32 samples that were packed, to the bit."""
    if samples.dtype != np.int16:
        return samples  # type: ignore[return-value]
    out: Samples = np.multiply(samples, np.float32(1 / _STEPS), dtype=np.float32)
    return out


def summarize_left_out(left_out: Sequence[LeftOut]) -> list[str]:
    """One sentence per reason, with the number of clips and some of their names."""
    of_reason: dict[str, list[str]] = defaultdict(list)
    for one in left_out:
        of_reason[one.why].append(one.path.name)
    sentences = []
    for why, names in of_reason.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        clips = "1 clip" if len(names) == 1 else f"{len(names)} clips"
        sentences.append(f"{clips} ({why}): {', '.join(names[:_NAMED])}{more}")
    return sentences
