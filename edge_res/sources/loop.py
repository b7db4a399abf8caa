"""A recording that is played again and again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from edge_res.errors import SourceError
from edge_res.flow import Block, Health
from edge_res.session import SUFFIX
from edge_res.sources import Source, kind_of
from edge_res.sources.checks import check_any


def can_loop(text: str) -> bool:
    """Whether a source is a recording: the folders, the demo and files, but no session, which is replayed as it was."""
    kind = kind_of(text)
    return kind in ("FOLDER", "demo:") or (kind.startswith(".") and kind != SUFFIX)


def can_be_paced(text: str) -> bool:
    """Whether a source has no pace of its own, or may have none, as what is piped in."""
    return can_loop(text) or kind_of(text) in ("-", SUFFIX)


@contextmanager
def said_once() -> Iterator[None]:
    """What is wrong with a recording is said as often as it is opened: in here, the first time only."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        new = (sentence := record.getMessage()) not in said
        said.add(sentence)
        return new

    logger = logging.getLogger("edge_res")
    logger.addFilter(is_new)
    try:
        yield
    finally:
        logger.removeFilter(is_new)


class Loop:
    """Plays the recording that `open_again` opens for ever, opened anew each time; positions go on.

    Each time but the first begins a recording: the model starts anew. Raises `SourceError` where the recording has
    become another, and what opening and playing it raise.
    """

    def __init__(self, open_again: Callable[[], Source]) -> None:
        self._open_again = open_again
        self._source = open_again()
        self.name = self._source.name
        self.rate_hz = self._source.rate_hz
        self.channels = self._source.channels
        self.unit = self._source.unit

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *exception: object) -> None:
        self._source.__exit__(None, None, None)

    def __iter__(self) -> Iterator[Block | Health]:
        begun = end = 0
        begins = ""
        while True:
            with self._source as source:
                for item in source:
                    if isinstance(item, Block):
                        item = replace(item, at=begun + item.at, begins=item.begins or begins)
                        end, begins = item.at + len(item.samples), ""
                    yield item
            check_any(self.name, end - begun)  # else this would never come to an end
            begun, begins = end, self.name
            self._source = self._open_again()
            now = (self._source.rate_hz, self._source.channels)
            if now != (self.rate_hz, self.channels):
                raise SourceError(
                    f"{self.name} has changed: it had {self.rate_hz} Hz and channels: {self.channels}, and now has "
                    f"{now[0]} Hz and channels: {now[1]}; start again."
                )
