"""Data sets: clips with labels and groups, split so that nothing in the validation was trained on.

Clips with the same audio are used once; files that cannot be used are left out and named.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_res.clips.manifest import NOISE, SILENCE, UNKNOWN, Entry, read_entries
from edge_res.clips.recordings import (
    LeftOut,
    UnusableError,
    audio_sha256,
    fault_of,
    packed,
    read_recordings,
    summarize_left_out,
)
from edge_res.clips.splits import SPLITS, Clip, Split, Splits, refuse_crossing, split_by_time, split_in_order
from edge_res.errors import DataError

_NOISE_PARTS: Mapping[Split, tuple[float, float]] = {"train": (0, 0.7), "validation": (0.7, 0.88), "held": (0.88, 1)}
_REASONS = 3  # at most, in an error about many clips


@dataclass(frozen=True)
class DataSet:
    """Labelled `clips` and background `noise`, the files left out, and `notes`: sentences for the user."""

    rate_hz: int
    clips: tuple[Clip, ...]
    noise: tuple[Clip, ...]
    left_out: tuple[LeftOut, ...]
    manifest_sha256: str
    same_session: tuple[str, ...] = ()  # labels whose training and validation come from one session
    notes: tuple[str, ...] = ()

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
    """Read a data set; clips whose label is not in `labels` become `_unknown_`.

    Recordings labelled `noise` are the background, split by time. With such recordings, `_silence_` clips are left out:
    they are usually cut from them, and would carry validation noise into the training. Without, the `_silence_` clips
    of each split, joined, are its background.
    """
    splits = splits or Splits()
    entries, manifest_sha256 = read_entries(data, sets, splits.group_pattern, not splits.all_by_time)
    recordings = [e for e in entries if e.label == NOISE]
    silences = [e for e in entries if e.label == SILENCE]
    wanted = [e for e in entries if e.label not in (NOISE, SILENCE)]
    if missing := set(labels) - {e.label for e in wanted}:
        raise DataError(
            f"There are no clips of {sorted(missing)} in {data}; its labels are {sorted({e.label for e in wanted})}."
        )
    refuse_crossing([*wanted, *([] if recordings else silences)], splits, seed)
    read = read_clips(wanted, labels, rate_hz, channels, splits, seed)
    if not read.clips and wanted:
        reasons = summarize_left_out(read.left_out)[:_REASONS]
        raise DataError(f"None of the {len(wanted)} clips can be used: {'; '.join(reasons)}.")
    clips, unused = divided(read.clips, splits, rate_hz)
    of_noise = read_clips(recordings or silences, (NOISE, SILENCE), rate_hz, channels, splits, seed)
    if recordings:
        noise, too_short = background(of_noise.clips, round(splits.guard_s * rate_hz))
    else:
        still, too_short = divided(of_noise.clips, splits, rate_hz)
        noise = silence(still)
    found = DataSet(
        rate_hz,
        tuple(clips),
        tuple(noise),
        (*read.left_out, *unused, *of_noise.left_out, *too_short),
        manifest_sha256,
        same_session=tuple(sorted({c.entry.label for c in clips if splits.is_by_time(c.entry.label)})),
        notes=(*notes_on(read.files, rate_hz, channels), *notes_on_silence(len(silences), bool(recordings))),
    )
    refuse_gaps(found, labels, data)
    return found


@dataclass(frozen=True)
class FileKind:
    """Rate and channels of a file; `has_rate` says whether the file or the manifest states the rate."""

    rate_hz: int
    channels: int
    has_rate: bool


@dataclass(frozen=True)
class ReadClips:
    """The clips of entries, the files left out, and the number of clips from each kind of file."""

    clips: list[Clip]
    left_out: list[LeftOut]
    files: Counter[FileKind]


def read_clips(
    entries: Sequence[Entry], labels: Sequence[str], rate_hz: int, channels: int, splits: Splits, seed: int
) -> ReadClips:
    """The clips of entries, each in the split of its group; those of other labels are `_unknown_`."""
    found = ReadClips([], [], Counter())
    for entry in entries:
        try:
            recordings = read_recordings(entry, rate_hz, channels)
        except UnusableError as error:
            found.left_out.append(LeftOut(entry.path, error.why))
            continue
        has_rate = entry.path.suffix.lower() != ".npy" or entry.rate_hz is not None
        found.files[FileKind(recordings.rate_hz, recordings.channels, has_rate)] += len(recordings.samples)
        named = replace(entry, label=entry.label if entry.label in labels else UNKNOWN)
        split = splits.split_of(entry.group, seed)
        start = round(entry.start_s * rate_hz)
        for samples in recordings.samples:
            if fault := fault_of(samples):
                found.left_out.append(LeftOut(entry.path, fault))
            else:
                clip = Clip(named, split, audio_sha256(samples), packed(samples), start, entry.label)
                found.clips.append(clip)
            start += len(samples)
    return found


def divided(clips: Sequence[Clip], splits: Splits, rate_hz: int) -> tuple[list[Clip], list[LeftOut]]:
    """The clips, split by time where `splits` asks for it, and each sound only once; copies are left out."""
    parts: Mapping[Split, tuple[float, float]] = {
        "train": (0, 1 - splits.validation),
        "validation": (1 - splits.validation, 1),
    }
    of_file: dict[tuple[Path, bool], list[Clip]] = defaultdict(list)
    for clip in clips:
        of_file[clip.entry.path, splits.is_by_time(clip.entry.label)].append(clip)
    found: list[Clip] = []
    short: dict[str, list[Clip]] = defaultdict(list)  # by label, recordings that cannot be cut in two
    for (path, by_time), of_one in of_file.items():
        if not by_time:
            found += of_one
        elif cut := split_by_time(of_one, parts, round(splits.guard_s * rate_hz)):
            found += cut
        elif len(of_one) == 1:
            short[of_one[0].entry.label] += of_one
        else:
            raise DataError(
                f"The recording {path} is too short to be split by time: with {splits.guard_s} s left out after each "
                "part, training or validation would get nothing; record more, or set a shorter guard_s."
            )
    for of_label in short.values():
        found += split_in_order(of_label, splits.validation)
    once: dict[str, Clip] = {}
    copies = [clip for clip in found if once.setdefault(clip.sha256, clip) is not clip]
    return list(once.values()), [LeftOut(clip.entry.path, "same audio as another clip") for clip in copies]


def background(clips: Sequence[Clip], guard: int) -> tuple[list[Clip], list[LeftOut]]:
    """Recordings of noise, split by time; short ones are joined and split as one recording."""
    found: list[Clip] = []
    short = []
    for clip in clips:
        parts = split_by_time([replace(clip, packed=clip.samples, start=0)], _NOISE_PARTS, guard)
        found += parts
        if not parts:
            short.append(clip)
    parts = split_by_time([joined(short)], _NOISE_PARTS, guard) if short else []
    unused = [] if parts else [LeftOut(clip.entry.path, "too short to be split by time") for clip in short]
    if clips and not found + parts:
        raise DataError(f"None of the noise recordings can be used: {'; '.join(summarize_left_out(unused))}.")
    return found + parts, unused


def silence(clips: Sequence[Clip]) -> list[Clip]:
    """The clips of each split, joined to one recording of background."""
    of_split = ([clip for clip in clips if clip.split == split] for split in SPLITS)
    return [joined(of) for of in of_split if of]


def joined(clips: Sequence[Clip]) -> Clip:
    """Clips joined to one, which is not packed because every window reads background."""
    samples = np.concatenate([clip.samples for clip in clips])
    return replace(clips[0], sha256=audio_sha256(samples), packed=samples, start=0)


def notes_on(files: Counter[FileKind], rate_hz: int, channels: int) -> list[str]:
    """Sentences about files that were resampled, mixed or read at an assumed rate."""
    total = sum(files.values())
    rates, mixed = Counter[int](), Counter[int]()
    for kind, count in files.items():
        rates[kind.rate_hz] += count
        mixed[kind.channels] += count
    notes = [
        f"{count} of {total} clips were resampled from {rate} to {rate_hz} Hz"
        for rate, count in sorted(rates.items())
        if rate != rate_hz
    ]
    notes += [
        f"{count} of {total} clips have {number} channels, which were mixed to {channels}"
        for number, count in sorted(mixed.items())
        if number != channels
    ]
    if unknown := sum(count for kind, count in files.items() if not kind.has_rate):
        notes.append(f"{unknown} .npy clips have no rate and were read as {rate_hz} Hz; give it in the column rate_hz")
    return notes


def notes_on_silence(silences: int, recordings: bool) -> list[str]:
    """A sentence about the `_silence_` clips, if there are any."""
    if not silences:
        return []
    if recordings:
        return [f"{silences} {SILENCE} clips are not used: silence is made from the noise recordings, split by time"]
    return [f"{silences} {SILENCE} clips are used as background"]


def refuse_gaps(found: DataSet, labels: Sequence[str], data: Path) -> None:
    """Refuse a data set in which a label lacks clips for training or for validation."""
    of_label = Counter(clip.entry.label for clip in found.clips)
    if alone := [label for label in labels if of_label[label] < 2]:
        raise DataError(f"{data} has fewer than two usable clips of {alone}; add some, or leave these labels out.")
    groups = {clip.entry.group for clip in found.clips}
    if len(groups) == 1 and not found.same_session:
        raise DataError(
            f"All clips in {data} are of one group, {groups.pop()!r}, so none are left for validation; add another "
            "speaker, session or machine, or split by time with --split time."
        )
    for split in SPLITS[:2]:
        counts = Counter(clip.entry.label for clip in found.of(split)[0])
        if few := [label for label in labels if not counts[label]]:
            raise DataError(
                f"The {split} clips have none of {few}, but training and validation need clips of every label; add "
                "groups or clips with these labels, or choose another --seed or other --validation-groups."
            )


def split_csv(data: DataSet) -> str:
    """The split of each clip, as CSV; `sha256_16` is the first 16 digits of its audio's hash."""
    rows = ["sha256_16,group,label,split,start,samples"]
    for clip in sorted((*data.clips, *data.noise), key=lambda c: (c.split, c.entry.label, c.sha256, c.start)):
        entry = clip.entry
        rows.append(f"{clip.sha256[:16]},{entry.group},{entry.label},{clip.split},{clip.start},{len(clip)}")
    return "\n".join(rows) + "\n"


def left_out_csv(left_out: Sequence[LeftOut]) -> str:
    """Each file that was left out, and why, as CSV."""
    packed = io.StringIO()
    rows = [(one.path.name, one.why) for one in left_out]
    csv.writer(packed, lineterminator="\n").writerows([("file", "why"), *rows])
    return packed.getvalue()
