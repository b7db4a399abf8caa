"""Data sets: clips with labels and groups, split so that nothing of the training is in the validation.

A **group** (speaker, session, machine) never crosses a split, in whichever set its clips lie; clips with the same audio
are used once; what is split by time, such as background recordings, has a guard between the parts.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edge_res.errors import ConfigError, DataError
from edge_res.export.entries import NOISE, SILENCE, SPEAKER_PATTERN, UNKNOWN, Entry, read_entries
from edge_res.export.recordings import audio_sha256, fault_of, read_recordings
from edge_res.flow import Samples

Split = Literal["train", "validation", "held"]
SPLITS: tuple[Split, ...] = ("train", "validation", "held")
_NOISE_PARTS: Mapping[Split, tuple[float, float]] = {"train": (0, 0.7), "validation": (0.7, 0.88), "held": (0.88, 1)}
_NAMED = 3  # files named in a sentence on many


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
        return label in self.by_time or "*" in self.by_time

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
    """Audio of one entry, or a stretch of its file from sample `start` on.

    `samples` are float32 `(samples, channels)` at the data set's rate.
    """

    entry: Entry
    split: Split
    sha256: str
    samples: Samples
    start: int = 0
    said: str = ""  # the label before it became `_unknown_`


@dataclass(frozen=True)
class DataSet:
    """Labelled `clips`, background `noise` by split, and sentences on what was left out or is worth knowing."""

    rate_hz: int
    clips: tuple[Clip, ...]
    noise: tuple[Clip, ...]
    left_out: tuple[str, ...]
    manifest_sha256: str
    same_session: tuple[str, ...] = ()  # labels whose training and validation are of one session

    def of(self, split: Split) -> tuple[list[Clip], list[Clip]]:
        """The clips and the noise of one split."""
        return [c for c in self.clips if c.split == split], [c for c in self.noise if c.split == split]


def load(
    data: Path,
    labels: Sequence[str],
    rate_hz: int,
    channels: int = 1,
    sets: Sequence[str] = (),
    seed: int = 0,
    splits: Splits | None = None,
) -> DataSet:
    """Read a data set; clips of other labels than `labels` become `_unknown_`.

    Recordings labelled `noise` are the background, split by time. `_silence_` clips are left out where there are any:
    such clips are usually cut from those recordings, and would carry validation noise into the training.
    """
    splits = splits or Splits()
    entries, manifest_sha256 = read_entries(data, sets, splits.group_pattern)
    left_out = []
    recordings = [e for e in entries if e.label == NOISE]
    silent = sum(e.label == SILENCE for e in entries)
    if recordings and silent:
        left_out.append(f"{silent} {SILENCE} clips: made from the noise recordings instead, which are split by time")
    wanted = [e for e in entries if e.label != NOISE and not (recordings and e.label == SILENCE)]
    if missing := set(labels) - {e.label for e in wanted}:
        raise DataError(
            f"There are no clips of {sorted(missing)} in {data}; its labels are {sorted({e.label for e in wanted})}."
        )
    refuse_crossing(wanted, splits, seed)
    clips, faults = read_clips(wanted, labels, rate_hz, channels, splits, seed)
    left_out += faults
    noise: list[Clip] = []
    for entry in recordings:
        whole = [Clip(entry, "train", "", samples) for samples in read_recordings(entry, rate_hz, channels)[0]]
        noise += split_by_time(whole, _NOISE_PARTS, round(splits.guard_s * rate_hz))
    same_session = tuple(sorted({c.entry.label for c in clips if splits.by_time_too(c.entry.label)}))
    found = DataSet(rate_hz, tuple(clips), tuple(noise), tuple(left_out), manifest_sha256, same_session)
    refuse_gaps(found, labels, data)
    return found


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


def read_clips(
    entries: Sequence[Entry], labels: Sequence[str], rate_hz: int, channels: int, splits: Splits, seed: int
) -> tuple[list[Clip], list[str]]:
    """The clips of entries, each sound once, and sentences on what was left out."""
    faulty: dict[str, list[str]] = defaultdict(list)
    rates: Counter[int] = Counter()
    of_file: dict[tuple[Path, bool], list[Clip]] = defaultdict(list)
    for entry in entries:
        try:
            recordings, file_rate_hz = read_recordings(entry, rate_hz, channels)
        except DataError as error:
            faulty[str(error)].append(entry.path.name)
            continue
        rates[file_rate_hz] += len(recordings)
        named = replace(entry, label=entry.label if entry.label in labels else UNKNOWN)
        start = round(entry.start_s * rate_hz)
        for samples in recordings:
            if fault := fault_of(samples):
                faulty[fault].append(entry.path.name)
            else:
                clip = Clip(
                    named, splits.split_of(entry.group, seed), audio_sha256(samples), samples, start, entry.label
                )
                of_file[entry.path, splits.by_time_too(named.label)].append(clip)
            start += len(samples)
    parts: Mapping[Split, tuple[float, float]] = {
        "train": (0, 1 - splits.validation),
        "validation": (1 - splits.validation, 1),
    }
    clips: dict[str, Clip] = {}
    for (_, by_time), found in of_file.items():
        for clip in split_by_time(found, parts, round(splits.guard_s * rate_hz)) if by_time else found:
            if clip.sha256 in clips:
                faulty["with audio that is in another clip"].append(clip.entry.path.name)
            else:
                clips[clip.sha256] = clip
    faults = [told(item) for item in faulty.items()]
    if others := {rate: count for rate, count in sorted(rates.items()) if rate != rate_hz}:
        counts = ", ".join(f"{count} at {rate} Hz" for rate, count in others.items())
        faults.append(
            f"none for their rate, but {counts} of {sum(rates.values())} clips were resampled to {rate_hz} Hz"
        )
    if not clips and faults:
        raise DataError(f"None of the {len(entries)} clips can be used: {'; '.join(faults[:_NAMED])}.")
    return list(clips.values()), faults


def told(item: tuple[str, list[str]]) -> str:
    """A sentence on clips with one fault."""
    fault, names = item
    if len(names) == 1 and names[0] in fault:
        return fault
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} clips {fault}: {', '.join(names[:_NAMED])}{more}"


def refuse_gaps(found: DataSet, labels: Sequence[str], data: Path) -> None:
    """Each label must be in the training and in the validation."""
    of_label = Counter(clip.entry.label for clip in found.clips)
    if alone := [label for label in labels if of_label[label] < 2]:
        raise DataError(f"{data} has fewer than two clips of {alone} that can be used; add some, or leave them out.")
    groups = {clip.entry.group for clip in found.clips}
    if len(groups) == 1 and not found.same_session:
        raise DataError(
            f"All clips of {data} are of one group, {groups.pop()!r}, so none is left to validate on; add another "
            "speaker, session or machine, or split each recording by time with --split time."
        )
    for split in SPLITS[:2]:
        counts = Counter(clip.entry.label for clip in found.of(split)[0])
        if few := [label for label in labels if not counts[label]]:
            raise DataError(
                f"The {split} clips have none of {few}, but the labels must be the same in training and validation; it "
                "needs more groups that have them, another --seed, or --validation-groups."
            )


def split_by_time(clips: Sequence[Clip], parts: Mapping[Split, tuple[float, float]], guard: int) -> Iterable[Clip]:
    """The clips of one recording in stretches, a part of its time a split, with `guard` samples free after each.

    A clip that lies across a border is cut; of it, what is shorter than the guard is dropped.
    """
    if not clips:
        return
    end = max(clip.start + len(clip.samples) for clip in clips)
    for split, (low, high) in parts.items():
        first, last = round(low * end), round(high * end) - guard
        inside = [clip for clip in clips if clip.start < last and clip.start + len(clip.samples) > first]
        some = False
        for clip in inside:
            start, stop = max(clip.start, first), min(clip.start + len(clip.samples), last)
            if stop - start == len(clip.samples) or stop - start >= 2 * guard:
                samples = clip.samples[start - clip.start : stop - clip.start]
                yield replace(clip, split=split, sha256=audio_sha256(samples), samples=samples, start=start)
                some = True
        if not some:
            raise DataError(
                f"The recording {clips[0].entry.path} is too short to be split by time: {end} samples, of which "
                f"{split} gets {max(0, last - first)}, and {guard} are left free after each part."
            )


def split_csv(data: DataSet) -> str:
    """Which clip was used for what, as CSV; `sha256_16` are the first 16 digits of its audio's hash."""
    rows = ["sha256_16,group,label,split,start,samples"]
    for clip in sorted((*data.clips, *data.noise), key=lambda c: (c.split, c.entry.label, c.sha256, c.start)):
        entry = clip.entry
        rows.append(f"{clip.sha256[:16]},{entry.group},{entry.label},{clip.split},{clip.start},{len(clip.samples)}")
    return "\n".join(rows) + "\n"


__all__ = ["NOISE", "SILENCE", "SPEAKER_PATTERN", "SPLITS", "UNKNOWN", "Clip", "DataSet", "Split", "Splits", "load"]
