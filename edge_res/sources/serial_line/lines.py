"""Lines of numbers in a stream of bytes: what most sketches for a board print."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from edge_res.flow import Samples

_LONGEST = 1024  # bytes of a line
_LARGEST = float(np.finfo(np.float32).max)
_SEPARATORS = bytes.maketrans(b",;", b"  ")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_line(line: bytes) -> list[float] | None:
    """The numbers of a line, separated by commas, semicolons or white space; None where something else is in it."""
    fields = line.translate(_SEPARATORS).split()
    if not all(map(_NUMBER.fullmatch, fields)):  # `float` takes 1_000 and nan as well
        return None
    values = [float(field) for field in fields]
    return values if max(map(abs, values), default=0.0) <= _LARGEST else None


class Lines:
    """Finds the samples in a stream of bytes, a line each of `channels` numbers, and counts the lines that are none.

    The first line after a beginning may be the rest of one and is left out; empty lines and those that start with # are
    no samples. Lines before the first sample of all are a board's greeting: `greeting` holds the beginning of it.
    """

    def __init__(self, channels: int) -> None:
        self.greeting: list[bytes] = []
        self.misfit = 0  # width of the last line of numbers that had another one
        self.misfits = 0  # such lines since the last sample
        self._channels = channels
        self._held = b""
        self._begun = self._any = False

    def push(self, data: bytes) -> Iterator[tuple[int, Samples]]:
        """How many lines were bad, and the samples behind them, float32 `(n, channels)`; n is 0 at the end only."""
        *lines, self._held = (self._held + data).split(b"\n")
        if len(self._held) > _LONGEST:  # no line of numbers: the rest of it up to its end is a bad one
            self._held = b"?" + self._held[-1:]
        bad, rows = 0, []
        for line in lines[0 if self._begun else 1 :]:
            text = line.strip()
            if not text or text.startswith(b"#"):
                continue
            row = read_line(text)
            if row is not None and len(row) == self._channels:
                rows.append(row)
                self._any, self.misfits = True, 0
                continue
            if row is not None:
                self.misfit, self.misfits = len(row), self.misfits + 1
            if not self._any:
                self.greeting = [*self.greeting, text][:3]
                continue
            if rows:
                yield bad, np.array(rows, np.float32)
                bad, rows = 0, []
            bad += 1
        self._begun = self._begun or bool(lines)
        if rows or bad:
            yield bad, np.array(rows, np.float32).reshape(-1, self._channels)

    def reset(self) -> None:
        """Begin anew: what comes next does not follow what was held."""
        self._held = b""
        self._begun = self._any = False
