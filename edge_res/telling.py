"""Sentences for people, which go to stderr; data never does.

The package logs to one logger, `edge_res`: what happens at level INFO, what is wrong at WARNING and above. The command
line prints every sentence, after `edgeres: `; another program that uses the package decides for itself.
"""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

LOGGER = logging.getLogger("edge_res")
_STDERR = 2
# Control characters, with which a terminal can be driven and a second line forged; those that reverse the direction of
# writing; and halves of surrogate pairs, which stand for bytes of a file name that are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def say(sentence: str) -> None:
    """Log what happens, for the user to read."""
    LOGGER.info("%s", sentence)


def plain(text: str) -> str:
    r"""A text on one line, with characters that would do something to a terminal escaped: `\x1b` for ESC."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


@contextmanager
def printed_on_stderr() -> Iterator[None]:
    """Print what the package logs on stderr, a line a sentence; for as long as this lasts, no write to stderr fails.

    A stderr that is closed, full or no longer read loses sentences; output and exit code stay what they are.
    """
    before, handler, level = sys.stderr, _Sentences(), LOGGER.level
    stream = sys.stderr = _unfailing(before)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
        LOGGER.removeHandler(handler)
        with suppress(OSError, ValueError):
            stream.flush()
        sys.stderr = before


class _Sentences(logging.Handler):
    """Writes to what `sys.stderr` is at that time: a live display of rich's stands in for it while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError, AttributeError):  # full or gone; closed; None
            sys.stderr.write(f"edgeres: {plain(record.getMessage())}\n")
            sys.stderr.flush()


class _Unfailing(io.FileIO):
    """A file whose writes never fail: what it cannot take is lost."""

    def write(self, data: Any) -> int:
        written = None  # as where it would block
        with suppress(OSError):
            written = super().write(data)
        return memoryview(data).nbytes if written is None else written


def _unfailing(stream: TextIO | None) -> TextIO:
    """The process's own stderr on a file whose writes never fail; another one, such as a test's, as it is."""
    if stream is not None and stream is not sys.__stderr__:
        return stream
    if stream is None:  # the process was started without one
        _occupy(_STDERR)
    raw = io.BufferedWriter(_Unfailing(_STDERR, "w", closefd=False))
    encoding = stream.encoding if stream else "utf-8"
    return io.TextIOWrapper(raw, encoding, errors="backslashreplace", line_buffering=True)


def _occupy(descriptor: int) -> None:
    """Open the null device as a descriptor that is closed, lest the next file opened be where C libraries write."""
    with suppress(OSError):
        os.fstat(descriptor)
        return
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Make SIGTERM end the run as Ctrl-C does, with a summary."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopped_with(sentence: str) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM end the program, with a sentence."""
    try:
        with ended_by_signal():
            yield
    except KeyboardInterrupt:
        say(sentence)
        sys.exit(130)
