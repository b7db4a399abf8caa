"""The formats of samples on a serial line: bytes in, samples and losses out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Protocol

from edge_res.flow import Samples
from edge_res.sources.framing import MOST_BYTES, Decoder
from edge_res.sources.sensor import check_width
from edge_res.sources.sequence import Sequence, lost_by_clock
from edge_res.sources.serial_line.lines import Lines

_MISFITS = 50  # so many lines of another width in a row are not damaged lines


class Garbage:
    """Warns once if many bytes arrive without a sample in them: the baud rate or the format is wrong."""

    def __init__(self, name: str, expected: str, most: int) -> None:
        self._name = name
        self._expected = expected
        self._most = most
        self._bytes = 0

    def arrived(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > self._most:
            self._most = sys.maxsize
            logging.getLogger("edge_res").warning(
                "%s has sent %d bytes without a %s, the last ones %r; check baud= and format=.",
                self._name, self._bytes, self._expected, data[-24:],
            )  # fmt: skip

    def sample(self) -> None:
        self._bytes = 0


class Format(Protocol):
    """A format of samples."""

    def push(self, data: bytes, now_s: float) -> Iterator[tuple[int, Samples]]:
        """Samples lost, and those that follow, float32 `(n, channels)`, in bytes that arrived at `now_s`."""

    def reset(self) -> None:
        """The next bytes do not follow those before."""


class Framed:
    """Binary frames, whose sequence numbers show what is lost."""

    def __init__(self, name: str, channels: int, rate_hz: int, silence_s: float) -> None:
        self._name = name
        self._channels = channels
        self._decoder = Decoder()
        self._sequence = Sequence(name, rate_hz)
        self._garbage = Garbage(name, "binary frame", 2 * MOST_BYTES)

    def push(self, data: bytes, now_s: float) -> Iterator[tuple[int, Samples]]:
        self._garbage.arrived(data)
        for frame in self._decoder.push(data):
            self._garbage.sample()
            check_width(self._name, frame.samples.shape[1], self._channels)
            yield self._sequence.lost_before(frame.number, len(frame.samples), now_s), frame.samples

    def reset(self) -> None:
        self._decoder.reset()
        self._sequence.doubt()


class Csv:
    """Lines of numbers: a bad line is a lost sample; after `silence_s` or an interruption the clock shows the loss."""

    def __init__(self, name: str, channels: int, rate_hz: int, silence_s: float) -> None:
        self._name = name
        self._channels = channels
        self._rate_hz = rate_hz
        self._silence_s = silence_s
        self._lines = Lines(channels)
        self._garbage = Garbage(name, f"line of {channels} number{'s' * (channels != 1)}", 4096)
        self._seen_s: float | None = None
        self._broken = self._greeted = False

    def push(self, data: bytes, now_s: float) -> Iterator[tuple[int, Samples]]:
        self._garbage.arrived(data)
        pieces = list(self._lines.push(data))
        if self._lines.misfits > _MISFITS:
            check_width(self._name, self._lines.misfit, self._channels)
        if not pieces:
            return
        self._garbage.sample()
        self._report_greeting()
        missing = 0
        if self._seen_s is not None and (self._broken or now_s - self._seen_s > self._silence_s):
            known = sum(bad + len(samples) for bad, samples in pieces)
            missing = max(1, lost_by_clock(now_s - self._seen_s, self._rate_hz, known))
        self._seen_s, self._broken = now_s, False
        for bad, samples in pieces:
            yield missing + bad, samples
            missing = 0

    def reset(self) -> None:
        self._lines.reset()
        self._broken = True

    def _report_greeting(self) -> None:
        if self._lines.greeting and not self._greeted:
            self._greeted = True
            logging.getLogger("edge_res").warning(
                "%s began with lines that are not samples; ignored: %s",
                self._name, b" / ".join(self._lines.greeting).decode("utf-8", "replace")[:120],
            )  # fmt: skip


FORMATS: dict[str, Callable[[str, int, int, float], Format]] = {"csv": Csv, "binary": Framed}
