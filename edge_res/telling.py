"""What a command tells a person beside its data."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def say(sentence: str) -> None:
    """Tell the user something on stderr, where data never goes."""
    if sys.stderr is not None:  # else `print` would take stdout
        print(f"edgeres: {sentence}", file=sys.stderr)


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does, with a summary."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopped_with(sentence: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the program, with a sentence."""
    try:
        with ended_by_signal():
            yield
    except KeyboardInterrupt:
        say(sentence)
        sys.exit(130)
