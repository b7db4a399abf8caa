"""What keeps training and validation apart: groups, or time.

A **group** (speaker, session, machine) never crosses a split, in whichever set its clips lie; what is split by time,
such as background recordings, has a guard between the parts.
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

    A group goes where its hash says, `validation` and `held` being the shares, or with `validation_groups`, a pattern,
    into the validation where that is found in its name. Labels in `by_time` (`*` is all) have one session only: the
    last `validation` of each recording is the validation, `guard_s` after the training's part.
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
                f"The shares validation = {self.validation} and held = {self.held} (guard {self.guard_s} s) cannot be; "
                "need 0 < validation, 0 <= held, validation + held < 1 and a guard of at least 0 s."
            )
        for pattern in (self.validation_groups, self.group_pattern):
            refuse_no_pattern(pattern)

    def by_time_too(self, label: str) -> bool:
        return label in self.by_time or self.need_no_groups

    @property
    def need_no_groups(self) -> bool:
        """Whether all is split by time."""
        return "*" in self.by_time

    def split_of(self, group: str, seed: int) -> Split:
        """Where a group belongs: a function of its name and the seed alone, so it is the same in every set."""
        if self.validation_groups:
            return "validation" if re.search(self.validation_groups, group) else "train"
        digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        return "held" if place < self.held else "validation" if place < self.held + self.validation else "train"


def refuse_no_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{pattern!r} is no pattern (regular expression): {error}.") from None


@dataclass(frozen=True)
class Clip:
    """Audio of one entry, or a stretch of its file from sample `start` on, at the data set's rate.

    `packed` is as `recordings.packed` gives it.
    """

    entry: Entry
    split: Split
    sha256: str
    packed: NDArray[np.int16] | Samples
    start: int = 0
    said: str = ""  # the label before it became `_unknown_`

    @property
    def samples(self) -> Samples:
        """Float32 `(samples, channels)`."""
        return unpacked(self.packed)

    def __len__(self) -> int:
        """Samples of each channel."""
        return len(self.packed)


def refuse_crossing(entries: Sequence[Entry], splits: Splits, seed: int) -> None:
    """Rows that are parts of one recording must not be in training and validation both."""
    where: dict[Path, tuple[Entry, Split]] = {}
    for entry in entries:
        if splits.by_time_too(entry.label):
            continue
        split = splits.split_of(entry.group, seed)
        first, its_split = where.setdefault(entry.path, (entry, split))
        if split != its_split:
            raise DataError(
                f"Windows of one recording would be in {its_split} and {split} both: {entry.path} has the groups "
                f"{first.group!r} and {entry.group!r}; give its rows one group, or use --split time."
            )


def split_by_time(clips: Sequence[Clip], parts: Mapping[Split, tuple[float, float]], guard: int) -> list[Clip]:
    """The clips of one recording in stretches, a part of its time a split, with `guard` samples free after each.

    A clip that lies across a border is cut; of it, what is shorter than the guard is dropped. Empty where a part would
    have nothing.
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
    """Short recordings of one label, in the order of the data: the last are the validation; one is free before them."""
    border = len(clips) - max(1, round(validation * len(clips)))
    yield from (replace(clip, split="train") for clip in clips[: border - 1])
    yield from (replace(clip, split="validation") for clip in clips[border:])
