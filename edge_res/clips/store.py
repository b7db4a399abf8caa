"""Clips on disk: one folder per label, and a manifest that `edgeres train` reads."""

from __future__ import annotations

import csv
import fcntl
import io
import logging
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_res.errors import ConfigError, OutputError
from edge_res.flow import Samples
from edge_res.writing import replace_file

MANIFEST = "manifest.csv"
COLUMNS = ("file", "label", "group", "set", "rate_hz", "channels", "unit", "seconds", "peak", "device", "time")
_GO_ON = "make room, and run it again to continue"


@dataclass(frozen=True)
class Clip:
    """A row of the manifest; the file's name contains the group, as in Speech Commands."""

    file: str
    label: str
    group: str
    set: str
    rate_hz: int
    channels: int
    unit: str
    seconds: float
    peak: float
    device: str
    time: str


class ClipStore:
    """`FOLDER/LABEL/GROUP_nohash_N.flac` (`.npy` for a sensor with a unit) and `FOLDER/manifest.csv`.

    Numbering continues after the clips already there. A file is written whole or not at all, and no clip is replaced:
    until this process ends, no other one can add to the folder. Raises `ConfigError` for names that cannot be file
    names, a file that is not a manifest and a folder that another process adds to, `OutputError` if nothing can be
    written.
    """

    def __init__(self, folder: Path, label: str, group: str) -> None:
        for what, name in (("label", label), ("group", group)):
            if not re.fullmatch(r"[^/\\\0.\s][^/\\\0\r\n]*", name) or "_nohash_" in name:
                raise ConfigError(
                    f"The {what} {name!r} cannot be part of a file name; give one without slashes that does not "
                    "begin with a dot or a space."
                )
        self.folder = folder
        self._label = label
        self._group = group
        try:
            (folder / label).mkdir(parents=True, exist_ok=True)
            _lock(folder)
            there = list((folder / label).iterdir())
        except OSError as error:
            raise OutputError(f"{folder / label} cannot be created: {error.strerror}; name another folder.") from None
        self._rows, self._columns = _read(folder / MANIFEST)
        numbered = re.compile(re.escape(group) + r"_nohash_(\d+)\.\w+")
        clips = {path.name: int(found[1]) for path in there if (found := numbered.fullmatch(path.name))}
        self._next = max(clips.values(), default=-1) + 1
        if lone := sorted(clips.keys() - {Path(row["file"] or "").name for row in self._rows if row["label"] == label}):
            logging.getLogger("edge_res").warning(
                "%s has no row for %s%s; add one, or train on the folder itself.",
                folder / MANIFEST, lone[0], f" and {len(lone) - 1} more clips of {group!r}" * (len(lone) > 1),
            )  # fmt: skip

    def next_file(self, suffix: str) -> str:
        """The path of the next clip, relative to the folder."""
        return f"{self._label}/{self._group}_nohash_{self._next}{suffix}"

    def keep(self, content: bytes, clip: Clip) -> None:
        """Write a clip and its row."""
        replace_file(self.folder / clip.file, content, hint=_GO_ON)
        self._next += 1
        self._rows.append({name: str(getattr(clip, name)) for name in COLUMNS})
        replace_file(self.folder / MANIFEST, self._manifest(), hint=_GO_ON)

    def _manifest(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        return text.getvalue()


def _lock(folder: Path) -> None:
    """Keep others from adding to a folder until this process ends; some network file systems have no locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ConfigError(
                f"Another `edgeres record` is adding clips to {folder}; wait until it ends, or name another folder."
            ) from None


def npy_of(samples: Samples) -> bytes:
    """The content of a `.npy` file of float32 `(samples, channels)`."""
    packed = io.BytesIO()
    np.save(packed, samples)
    return packed.getvalue()


def _read(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a manifest, and its columns followed by those of ours that it lacks."""
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        rows, found = list(reader), list(reader.fieldnames or ())
        if not {"file", "label"} <= set(found) or any(None in row for row in rows):
            raise ValueError("its columns are not those of a manifest")
    except (FileNotFoundError, NotADirectoryError):
        return [], list(COLUMNS)
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(
            f"{path} is not a manifest that rows can be added to ({getattr(error, 'strerror', error)}); fix it or "
            "move it away."
        ) from None
    return rows, [*found, *(name for name in COLUMNS if name not in found)]
