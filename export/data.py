"""Data sets: clips with labels and groups, split so that nothing of the training is in the validation.

A **group** (speaker, session, machine) never crosses a split, in whichever set its clips lie; clips with the same audio
are used once; long background recordings are split by time, with a guard between the parts.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from edge_res.errors import DataError

Split = Literal["train", "validation", "held"]
SPLITS: tuple[Split, ...] = ("train", "validation", "held")
SILENCE = "_silence_"
UNKNOWN = "_unknown_"
NOISE = "noise"
SPEAKER_PATTERN = r"^(.+?)_nohash_"  # how Speech Commands names its files
_SUFFIXES = (".flac", ".wav", ".ogg")
_GUARD_S = 1.5  # between the parts of a background recording: longer than a window
_NOISE_PARTS: dict[Split, tuple[float, float]] = {"train": (0, 0.7), "validation": (0.7, 0.88), "held": (0.88, 1)}


@dataclass(frozen=True)
class Entry:
    """A file that the manifest or the folder names."""

    path: Path
    set: str
    label: str
    group: str


@dataclass(frozen=True)
class Clip:
    """Audio of one entry (or a stretch of it, from sample `start` on): float32 `(samples,)` at the data set's rate."""

    entry: Entry
    split: Split
    sha256: str
    samples: NDArray[np.float32]
    start: int = 0


@dataclass(frozen=True)
class DataSet:
    """Labelled `clips`, background `noise` by split, and sentences on what was left out."""

    rate_hz: int
    clips: tuple[Clip, ...]
    noise: tuple[Clip, ...]
    left_out: tuple[str, ...]
    manifest_sha256: str

    def of(self, split: Split) -> tuple[list[Clip], list[Clip]]:
        """The clips and the noise of one split."""
        return [c for c in self.clips if c.split == split], [c for c in self.noise if c.split == split]


def read_entries(data: Path, sets: Sequence[str] = (), group_pattern: str = SPEAKER_PATTERN) -> tuple[list[Entry], str]:
    """The entries of a manifest CSV (columns file, label, group and perhaps set) or of a folder of folders of clips.

    In a folder the label is the folder's name and the group is what `group_pattern` finds in the file's name. Returns
    the entries and the SHA-256 of the manifest (of a folder: of its sorted file names).
    """
    if data.is_file():
        raw = data.read_bytes()
        rows = list(csv.DictReader(raw.decode().splitlines()))
        missing = {"file", "label", "group"} - set(rows[0] if rows else ())
        if missing:
            raise DataError(f"The manifest {data} lacks the columns {sorted(missing)}; it needs file, label and group.")
        entries = [Entry(data.parent / r["file"], r.get("set", ""), r["label"], r["group"]) for r in rows]
        known = {entry.set for entry in entries}
        if unknown := set(sets) - known:
            raise DataError(f"The manifest {data} has no set {sorted(unknown)}, only {sorted(known)}.")
        return [e for e in entries if not sets or e.set in sets], hashlib.sha256(raw).hexdigest()
    if not data.is_dir():
        raise DataError(f"There is no data at {data}; name a manifest CSV or a folder of folders of clips.")
    entries = []
    for path in sorted(p for p in data.glob("*/*") if p.suffix in _SUFFIXES):
        found = re.search(group_pattern, path.name)
        if not found:
            raise DataError(
                f"The name of {path} does not tell its group (pattern {group_pattern!r}); pass --group-pattern or a "
                "manifest CSV, so that one speaker is not in training and validation both."
            )
        entries.append(Entry(path, "", path.parent.name, found.group(1)))
    names = "\n".join(str(entry.path.relative_to(data)) for entry in entries)
    return entries, hashlib.sha256(names.encode()).hexdigest()


def split_of(group: str, seed: int, validation: float, held: float) -> Split:
    """Where a group belongs: a function of its name and the seed alone, so it is the same in every set."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return "held" if place < held else "validation" if place < held + validation else "train"


def read_audio(path: Path, rate_hz: int) -> NDArray[np.float32]:
    """A mono recording, float32 `(samples,)`, resampled to `rate_hz`."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{path} cannot be read as audio: {error}") from None
    if samples.shape[1] != 1:
        raise DataError(f"{path} has {samples.shape[1]} channels; training takes mono clips.")
    mono: NDArray[np.float32] = samples[:, 0]
    return mono if rate == rate_hz else soxr.resample(mono, rate, rate_hz)


def load(
    data: Path,
    labels: Sequence[str],
    rate_hz: int,
    sets: Sequence[str] = (),
    seed: int = 0,
    validation: float = 0.18,
    held: float = 0.05,
    group_pattern: str = SPEAKER_PATTERN,
) -> DataSet:
    """Read a data set; clips of other labels than `labels` become `_unknown_`.

    Recordings labelled `noise` are the background. `_silence_` clips are left out where there are any: such clips are
    usually cut from those recordings, and would carry validation noise into the training.
    """
    entries, manifest_sha256 = read_entries(data, sets, group_pattern)
    left_out = []
    recordings = [e for e in entries if e.label == NOISE]
    silent = sum(e.label == SILENCE for e in entries)
    if recordings and silent:
        left_out.append(f"{silent} {SILENCE} clips: made from the noise recordings instead, which are split by time")
    spoken = [e for e in entries if e.label != NOISE and not (recordings and e.label == SILENCE)]
    if missing := set(labels) - {e.label for e in spoken}:
        raise DataError(
            f"There are no clips of {sorted(missing)} in {data}; its labels are {sorted({e.label for e in spoken})}."
        )
    clips: dict[str, Clip] = {}
    duplicates = quiet = 0
    for entry in spoken:
        samples = read_audio(entry.path, rate_hz)
        if not len(samples) or np.ptp(samples) < 1e-4:
            quiet += 1
            continue
        digest = audio_sha256(samples)
        if digest in clips:
            duplicates += 1
            continue
        label = entry.label if entry.label in labels else UNKNOWN
        split = split_of(entry.group, seed, validation, held)
        clips[digest] = Clip(replace(entry, label=label), split, digest, samples)
    if duplicates:
        left_out.append(f"{duplicates} clips whose audio is in another clip")
    if quiet:
        left_out.append(f"{quiet} empty or silent clips")
    noise = [part for entry in recordings for part in split_by_time(entry, read_audio(entry.path, rate_hz), rate_hz)]
    found = DataSet(rate_hz, tuple(clips.values()), tuple(noise), tuple(left_out), manifest_sha256)
    for split in SPLITS[:2]:
        counts = Counter(clip.entry.label for clip in found.of(split)[0])
        if few := [label for label in labels if counts[label] < 2]:
            raise DataError(f"The {split} split has fewer than two clips of {few}; it needs more groups that say them.")
    return found


def audio_sha256(samples: NDArray[np.float32]) -> str:
    """Hash of the audio as 16-bit PCM: the same sound in another container has the same hash."""
    return hashlib.sha256(np.rint(samples * 32768).clip(-32768, 32767).astype("<i2").tobytes()).hexdigest()


def split_by_time(entry: Entry, samples: NDArray[np.float32], rate_hz: int) -> Iterable[Clip]:
    """A background recording in three stretches, one a split, with a guard after each."""
    guard = round(_GUARD_S * rate_hz)
    for split, (low, high) in _NOISE_PARTS.items():
        start, stop = round(low * len(samples)), round(high * len(samples)) - guard
        if stop - start < 2 * guard:
            raise DataError(
                f"The noise recording {entry.path} is too short to be split by time: {len(samples) / rate_hz:.1f} s."
            )
        part = samples[start:stop]
        yield Clip(entry, split, audio_sha256(part), part, start)


def split_csv(data: DataSet) -> str:
    """Which clip was used for what, as CSV; `sha256_16` are the first 16 digits of its audio's hash."""
    rows = ["sha256_16,group,label,split,start,samples"]
    for clip in sorted((*data.clips, *data.noise), key=lambda c: (c.split, c.entry.label, c.sha256)):
        entry = clip.entry
        rows.append(f"{clip.sha256[:16]},{entry.group},{entry.label},{clip.split},{clip.start},{len(clip.samples)}")
    return "\n".join(rows) + "\n"
