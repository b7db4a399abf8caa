"""A data set as a list of files with labels and groups, from a manifest CSV or a folder of folders."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_res.errors import DataError

SILENCE = "_silence_"
UNKNOWN = "_unknown_"
NOISE = "noise"
SPEAKER_PATTERN = r"^(.+?)_nohash_"  # how Speech Commands names its files
SUFFIXES = (".flac", ".wav", ".ogg", ".npy")


@dataclass(frozen=True)
class Entry:
    """A file in the manifest or folder, or the part of it from `start_s` to `end_s`."""

    path: Path
    set: str
    label: str
    group: str
    start_s: float = 0.0
    end_s: float | None = None
    rate_hz: int | None = None  # of a file that does not state its rate


def read_entries(
    data: Path, sets: Sequence[str] = (), group_pattern: str = SPEAKER_PATTERN, need_groups: bool = True
) -> tuple[list[Entry], str]:
    """The entries of a manifest CSV or of a folder of folders of clips.

    A manifest has the columns `file` and `label`, and optionally `group`, `set`, `rate_hz` (for `.npy` files), and
    `start_s` and `end_s` if a row is a part of a long recording. In a folder of folders, the folder's name is the
    label. Without a `group`, the group is what `group_pattern` finds in the file's name; if it finds nothing, the group
    is empty, or, with `need_groups`, a `DataError` is raised. Returns the entries and the SHA-256 of the manifest (of a
    folder: of its sorted file names).
    """

    def group_of_file(path: Path, label: str) -> str:
        group = group_of(path, group_pattern)
        if group is None and need_groups and label != NOISE:  # noise is split by time
            raise DataError(
                f"{path} has no group in its name (pattern {group_pattern!r}); pass --group-pattern, or a manifest CSV "
                "with a column group, so that no speaker is in both training and validation; if all clips are from one "
                "session, pass --split time."
            )
        return group or ""

    if data.is_file():
        raw = data.read_bytes()
        entries = entries_of_manifest(data, raw, group_of_file)
        known = {entry.set for entry in entries}
        if unknown := set(sets) - known:
            raise DataError(f"The manifest {data} has no set {sorted(unknown)}, only {sorted(known)}.")
        return [e for e in entries if not sets or e.set in sets], hashlib.sha256(raw).hexdigest()
    if not data.is_dir():
        raise DataError(f"There is no data at {data}; name a manifest CSV or a folder of folders of clips.")
    if sets:
        raise DataError(f"{data} is a folder, which has no sets such as {sorted(sets)}; only a manifest CSV has them.")
    paths = sorted(p for p in data.glob("*/*") if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(
            f"There are no clips in {data}; expected one folder per label, with {', '.join(SUFFIXES)} files in it."
        )
    entries = [Entry(path, "", path.parent.name, group_of_file(path, path.parent.name)) for path in paths]
    names = "\n".join(str(entry.path.relative_to(data)) for entry in entries)
    return entries, hashlib.sha256(names.encode()).hexdigest()


def entries_of_manifest(data: Path, raw: bytes, group_of_file: Callable[[Path, str], str]) -> list[Entry]:
    """The entries of a manifest CSV."""
    try:
        table = csv.DictReader(raw.decode("utf-8-sig").splitlines())
        rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{data} cannot be read as a CSV file: {error}.") from None
    if missing := {"file", "label"} - set(table.fieldnames or ()):
        raise DataError(
            f"The manifest {data} lacks the columns {sorted(missing)}; it needs file and label, and should have group."
        )
    if not rows:
        raise DataError(f"The manifest {data} has no rows, expected one per clip.")
    return [entry_of_row(data, number, row, group_of_file) for number, row in enumerate(rows, 2)]


def entry_of_row(data: Path, number: int, row: dict[str, str], group_of_file: Callable[[Path, str], str]) -> Entry:
    """One row; `number` is its line in the file."""

    def number_in(column: str) -> float | None:
        text = row.get(column) or ""
        try:
            found = float(text) if text.strip() else None
        except ValueError:
            found = math.nan
        if found is not None and not math.isfinite(found):
            raise DataError(f"Line {number} of {data} has {column}={text!r}, expected a number.")
        return found

    if not row["file"] or not row["label"]:
        raise DataError(f"Line {number} of {data} has no file or no label.")
    path = data.parent / row["file"]
    start_s, end_s, rate_hz = number_in("start_s") or 0.0, number_in("end_s"), number_in("rate_hz")
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise DataError(f"Line {number} of {data} is from {start_s} to {end_s} s; the end must come after the start.")
    if rate_hz is not None and rate_hz < 1:
        raise DataError(f"Line {number} of {data} has rate_hz={row['rate_hz']!r}, expected samples per second.")
    group = row.get("group") or group_of_file(path, row["label"])
    return Entry(path, row.get("set") or "", row["label"], group, start_s, end_s, round(rate_hz) if rate_hz else None)


def group_of(path: Path, group_pattern: str) -> str | None:
    """What the pattern finds in a file's name: its first capture group, or all of the match; None without a match."""
    found = re.search(group_pattern, path.name)
    if not found:
        return None
    return found.group(1) if found.re.groups else found.group(0)
