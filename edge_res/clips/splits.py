"""What keeps training and validation apart: groups, or time.

A **group** (speaker, session, machine) never crosses a split, whichever sets its clips are in. Recordings split by
time, such as background noise, have a guard between the parts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_res.clips.manifest import SPEAKER_PATTERN, Entry
from edge_res.clips.recordings import audio_sha256, unpacked
from edge_res.errors import ConfigError, DataError
from edge_res.flow import Samples

Split = Literal["train", "validation", "held"]
SPLITS: tuple[Split, ...] = ("train", "validation", "held")


@dataclass(frozen=True)
class Splits:
    """How clips are divided.

    A group's hash decides its split; `validation` and `held` are the shares. With `validation_groups`, the groups whose
    names match that pattern are the validation instead. Labels in `by_time` (`*` means all) come from one session: the
    last share `validation` of each recording is the validation, `guard_s` after the part for training.
    """

    validation: float = 0.18
    held: float = 0.0
    validation_groups: str = ""
    by_time: tuple[str, ...] = ()
    guard_s: float = 1.5
    group_pattern: str = SPEAKER_PATTERN

    def __post_init__(self) -> None:
        shares = self.validation + self.held
        if self.validation <= 0 or self.held < 0 or shares >= 1 or self.guard_s < 0:
            raise ConfigError(
                f"The shares validation = {self.validation} and held = {self.held} (guard {self.guard_s} s) are "
                "not possible; expected 0 < validation, 0 <= held, validation + held < 1 and a guard of at least 0 s."
            )
        for pattern in (self.validation_groups, self.group_pattern):
            check_pattern(pattern)

    @property
    def all_by_time(self) -> bool:
        """Whether all labels are split by time, so that no groups are needed."""
        return "*" in self.by_time

    def is_by_time(self, label: str) -> bool:
        """Whether the recordings of a label are split by time."""
        return label in self.by_time or self.all_by_time

    def split_of(self, group: str, seed: int) -> Split:
        """The split of a group: it depends only on its name and the seed, so it is the same in every set."""
        if self.validation_groups:
            return "validation" if re.search(self.validation_groups, group) else "train"
        digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        return "held" if place < self.held else "validation" if place < self.held + self.validation else "train"


def check_pattern(pattern: str) -> None:
    """Raise `ConfigError` for text that is not a regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{pattern!r} is not a regular expression: {error}.") from None


@dataclass(frozen=True)
class Clip:
    """The audio of an entry, or a part of its file from sample `start` on, at the data set's rate.

    `packed` comes from `recordings.packed`.
    """

    entry: Entry
    split: Split
    sha256: str
    packed: NDArray[np.int16] | Samples
    start: int = 0
    original_label: str = ""  # before it became `_unknown_`

    @property
    def samples(self) -> Samples:
        """Float32 `(samples, channels)`."""
        return unpacked(self.packed)

    def __len__(self) -> int:
        """Samples per channel."""
        return len(self.packed)


def refuse_crossing(entries: Sequence[Entry], splits: Splits, seed: int) -> None:
    """Refuse rows that put parts of one recording into both training and validation."""
    where: dict[Path, tuple[Entry, Split]] = {}
    for entry in entries:
        if splits.is_by_time(entry.label):
            continue
        split = splits.split_of(entry.group, seed)
        first, its_split = where.setdefault(entry.path, (entry, split))
        if split != its_split:
            raise DataError(
                f"Windows of one recording would be in both {its_split} and {split}: {entry.path} has the groups "
                f"{first.group!r} and {entry.group!r}; give its rows one group, or use --split time."
            )


def split_by_time(clips: Sequence[Clip], parts: Mapping[Split, tuple[float, float]], guard: int) -> list[Clip]:
    """The clips of one recording, split by time: one part per split, with `guard` samples left out after each.

    A clip across a border is cut, and a piece shorter than twice the guard is dropped. Empty if a split would get
    nothing.
    """
    found = []
    end = max((clip.start + len(clip) for clip in clips), default=0)
    for split, (low, high) in parts.items():
        first, last = round(low * end), round(high * end) - guard
        for clip in clips:
            start, stop = max(clip.start, first), min(clip.start + len(clip), last)
            if stop > start and (stop - start == len(clip) or stop - start >= 2 * guard):
                packed = clip.packed[start - clip.start : stop - clip.start]
                sha256 = audio_sha256(unpacked(packed))
                found.append(replace(clip, split=split, sha256=sha256, packed=packed, start=start))
    return found if {clip.split for clip in found} == set(parts) else []


def split_in_order(clips: Sequence[Clip], validation: float) -> Iterator[Clip]:
    """Short recordings of one label, split in order: the last are the validation, the one before them is left out."""
    border = len(clips) - max(1, round(validation * len(clips)))
    yield from (replace(clip, split="train") for clip in clips[: border - 1])
    yield from (replace(clip, split="validation") for clip in clips[border:])
