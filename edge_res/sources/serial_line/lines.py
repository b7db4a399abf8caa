"""Lines of numbers in a stream of bytes, as most programs for microcontroller boards print them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from edge_res.flow import Samples

_LONGEST = 1024  # bytes in a line
_LARGEST = float(np.finfo(np.float32).max)
_SEPARATORS = bytes.maketrans(b",;", b"  ")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_line(line: bytes) -> list[float] | None:
    """The numbers in a line, separated by commas, semicolons or white space; None if it holds anything else.

    >>> read_line(b"0.5, -1; 2e3")
    [0.5, -1.0, 2000.0]
    """
    fields = line.translate(_SEPARATORS).split()
    if not all(map(_NUMBER.fullmatch, fields)):  # `float` also accepts 1_000 and nan
        return None
    values = [float(field) for field in fields]
    return values if max(map(abs, values), default=0.0) <= _LARGEST else None


class Lines:
    """Finds the samples in a stream of bytes, each a line of `channels` numbers, and counts bad lines.

    The first line after a start may be incomplete and is left out; empty lines and those that start with # are skipped.
    Lines before the first sample are the board's greeting: `greeting` holds the first of them.
    """

    def __init__(self, channels: int) -> None:
        self.greeting: list[bytes] = []
        self.misfit = 0  # numbers in the last line that had another width
        self.misfits = 0  # such lines since the last sample
        self._channels = channels
        self._held = b""
        self._begun = self._any = False

    def push(self, data: bytes) -> Iterator[tuple[int, Samples]]:
        """The number of bad lines, and the samples after them, float32 `(n, channels)`; n is 0 only at the end."""
        *lines, self._held = (self._held + data).split(b"\n")
        if len(self._held) > _LONGEST:  # not a line of numbers; the rest of it will be a bad line
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
        """Start over: the next bytes do not follow those held."""
        self._held = b""
        self._begun = self._any = False
