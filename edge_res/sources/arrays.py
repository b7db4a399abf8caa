"""Recorded samples of a sensor: NumPy arrays and CSV. Values are used as they are, in any unit."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Block
from edge_res.sources import Wanted
from edge_res.sources.checks import check_any, check_channels, check_finite, check_given_channels, check_readable
from edge_res.sources.sensor import RAW

_BEGUN = re.compile(r"[-+.0-9eE]*")  # the possible beginning of a number


class NumpyFile:
    """A `.npy` file of real numbers `(samples,)` or `(samples, channels)` of any dtype, mapped instead of loaded."""

    def __init__(self, path: str, want: Wanted) -> None:
        self.name = path
        self.unit = RAW
        self.rate_hz = _given_rate(path, want)
        self._values = _map(path)
        if self._values.dtype.kind not in "iuf" or self._values.ndim not in (1, 2):
            raise SignalError(
                f"{path} holds {self._values.dtype} of shape {self._values.shape}; expected real numbers of shape "
                "(samples,) or (samples, channels)."
            )
        check_any(path, len(self._values))
        if self._values.ndim == 1:
            self._values = self._values[:, np.newaxis]
        self.channels = self._values.shape[1]
        check_given_channels(path, self.channels, want.given_channels)
        check_channels(path, self.channels, want.channels, "axis 0 must be time, axis 1 the channels")
        self._length = want.recording_length(self.rate_hz)

    def __enter__(self) -> NumpyFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._values = self._values[:0]

    def __iter__(self) -> Iterator[Block]:
        for at in range(0, len(self._values), self._length):
            with np.errstate(over="ignore"):  # values too large for float32 become infinite, which is refused
                samples = np.array(self._values[at : at + self._length], np.float32, order="C")
            check_finite(self.name, samples, at, self.rate_hz)
            yield Block(self.name, at, samples)


class CsvFile:
    """A `.csv` file of numbers, with a line per sample and a column per channel, read line by line.

    Columns are separated by semicolons, commas or white space, whichever the first sample has. The first line may name
    the columns. Empty lines and lines that start with # are skipped, and so, with a warning, is an incomplete last one.
    """

    def __init__(self, path: str, want: Wanted) -> None:
        self.name = path
        self.unit = RAW
        self.rate_hz = _given_rate(path, want)
        check_readable(path)
        self._file = Path(path).open(encoding="utf-8-sig", errors="replace")  # noqa: SIM115 (closed by __exit__)
        self._rows = _rows(path, self._file)
        try:
            self._first = next(self._rows, [])
            check_any(path, len(self._first))
            self.channels = len(self._first)
            check_given_channels(path, self.channels, want.given_channels)
            check_channels(path, self.channels, want.channels, "keep one column per channel")
        except (ConfigError, SignalError):
            self._file.close()
            raise
        self._length = want.recording_length(self.rate_hz)

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Block]:
        at, rows = 0, [self._first, *islice(self._rows, self._length - 1)]
        while rows:
            with np.errstate(over="ignore"):
                samples = np.array(rows, np.float64).astype(np.float32)
            check_finite(self.name, samples, at, self.rate_hz)
            yield Block(self.name, at, samples)
            at += len(rows)
            rows = list(islice(self._rows, self._length))


def _given_rate(path: str, want: Wanted) -> int:
    if want.given_rate_hz is None:
        raise ConfigError(f"{path} has no sample rate; give it in Hz, for example --rate {want.rate_hz}.")
    return want.given_rate_hz


def _map(path: str) -> NDArray[Any]:
    check_readable(path)
    with Path(path).open("rb") as file:
        magic = file.read(len(np.lib.format.MAGIC_PREFIX))
    try:
        if magic != np.lib.format.MAGIC_PREFIX:
            raise ValueError("an archive or a pickle, which numpy.load would accept as well")
        values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # a damaged header is evaluated, which may raise anything
        raise SourceError(
            f"{path} is not a readable NumPy array, or is truncated; write it with numpy.save, without objects."
        ) from None
    return values


def _rows(path: str, lines: TextIO) -> Iterator[list[float]]:
    """The samples of a CSV file; raises `SignalError` at a line that is not one."""
    separator: str | None = None
    width = 0
    names_allowed = True
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not width:
            separator = ";" if ";" in text else "," if "," in text else None
        fields = text.split(separator)
        row = [_number(field) for field in fields]
        names = names_allowed and all(value is None for value in row)
        names_allowed = False
        if names:
            continue
        width = width or len(row)
        if len(row) != width or not all(value is not None and math.isfinite(value) for value in row):
            begun = len(row) <= width and None not in row[:-1] and _BEGUN.fullmatch(fields[-1].strip())
            if begun and not line.endswith("\n"):
                logging.getLogger("edge_res").warning(
                    "%s ends in the middle of a sample; its last line, %r, is ignored.", path, text
                )
                return
            what = f"number{'s' * (width != 1)} such as 1.5, separated by {separator or 'white space'}"
            raise SignalError(f"Line {number} of {path} is {text[:60]!r}; expected {width} {what}.")
        yield [value for value in row if value is not None]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
