"""A folder of recordings, one after the other."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edge_res.errors import EdgeResError, SourceError
from edge_res.flow import Block, Health, Samples
from edge_res.signal.resample import Resampler
from edge_res.sources import Source, Wanted, open_source

SUFFIXES = (".wav", ".flac", ".ogg", ".npy")  # CSV is not among them: a folder of recordings has its tables as CSV
_NAMED = 3


class Playlist:
    """`FOLDER`: the recordings in it and below, sorted by path, as one stream.

    Each begins with a block that `begins` it, by its path in the folder, so that the model starts over. All are
    resampled to the wanted rate. One that cannot be read, or has other channels than the rest, is reported and skipped;
    so is the rest of one that turns out to be damaged. Raises `SourceError` if none can be played.
    """

    def __init__(self, text: str, want: Wanted) -> None:
        self.name = text
        self.rate_hz = want.rate_hz
        self._folder = Path(text)
        shown = [path for path in self._files() if not any(part.startswith(".") for part in path.parts)]
        self._paths = [path for path in shown if path.suffix.lower() in SUFFIXES]
        others = [str(path) for path in shown if path.suffix.lower() not in SUFFIXES]
        if others:
            self._tell(
                f"{len(others)} of its files are not {', '.join(SUFFIXES)}, and left out: {', '.join(others[:_NAMED])}"
                f"{' …' * (len(others) > _NAMED)}"
            )
        self._want = want
        first = None
        while self._paths and (first := self._open(self._paths[0])) is None:
            del self._paths[0]
        if first is None:
            raise SourceError(f"{text} holds no recording that can be played; put WAV, FLAC, OGG or NumPy files there.")
        self.channels, self.unit = first.channels, first.unit
        self._want = replace(want, channels=first.channels)
        self._first = first

    def __enter__(self) -> Playlist:
        return self

    def __exit__(self, *exception: object) -> None:
        self._first.__exit__(None, None, None)

    def __iter__(self) -> Iterator[Block | Health]:
        at = 0
        for i, path in enumerate(self._paths):
            if (source := self._open(path) if i else self._first) is None:
                continue
            begins = str(path)
            try:
                with source:
                    begun = at
                    for samples, start_us in self._samples_of(source):
                        time_us = None if start_us is None else start_us + round(1e6 * (at - begun) / self.rate_hz)
                        yield Block(self.name, at, samples, begins=begins, time_us=time_us)
                        at += len(samples)
                        begins = ""
            except EdgeResError as error:
                self._tell(f"the rest of {path} is skipped: {str(error).removesuffix('.')}")

    def _files(self) -> list[Path]:
        """All files in the folder and below, sorted; no pipes and the like, which would be waited for."""

        def cannot(error: OSError) -> None:
            self._tell(f"{error.filename} is skipped: {error.strerror}")

        walked = os.walk(self._folder, onerror=cannot)
        found = [Path(folder, name) for folder, _, names in walked for name in names]
        return sorted(path.relative_to(self._folder) for path in found if _is_regular(path))

    def _samples_of(self, source: Source) -> Iterator[tuple[Samples, int | None]]:
        """All of one recording, at the rate of the playlist, and each time when it was begun, where that is known."""
        resampler = Resampler(source.rate_hz, self.rate_hz, self.channels)
        start_us: int | None = None
        for item in source:
            if isinstance(item, Block):
                start_us = item.time_us if item.at == 0 else start_us
                yield resampler.push(item.samples), start_us
        yield resampler.flush(), start_us

    def _open(self, path: Path) -> Source | None:
        try:
            return open_source(str(self._folder / path), self._want)
        except EdgeResError as error:
            self._tell(f"{path} is skipped: {str(error).removesuffix('.')}")
            return None

    def _tell(self, what: str) -> None:
        logging.getLogger("edge_res").warning("%s: %s.", self.name, what)


def _is_regular(path: Path) -> bool:
    """Whether it is a file, or may be one: one that cannot be examined is reported when it is opened."""
    try:
        return path.is_file() or not path.exists()
    except PermissionError:
        return True
