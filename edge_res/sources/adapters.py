"""A recording at its own pace."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType

import numpy as np

from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block, Health, Samples
from edge_res.session import SUFFIX
from edge_res.sources import TICK_S, Source, kind_of
from edge_res.sources.checks import check_any


class Paced:
    """Plays another source, such as a file, at its own pace: a block comes when its last sample would have been heard.

    Each block is due at a time counted from the start, so errors do not add up; a consumer that was late catches up.
    In a gap it ticks, as a live source does.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.rate_hz = source.rate_hz
        self.channels = source.channels
        self.unit = source.unit
        self._source = source

    def __enter__(self) -> Paced:
        self._source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Block | Health]:
        started_s = time.monotonic()
        at = 0
        for item in self._source:
            if isinstance(item, Block):
                end = item.at + len(item.samples)
                due_s = started_s + end / self.rate_hz
                while (left_s := due_s - time.monotonic()) > TICK_S:
                    time.sleep(TICK_S)
                    yield Block(self.name, at, item.samples[:0])
                time.sleep(max(0.0, left_s))
                at = end
            yield item


def read_pick(text: str) -> tuple[int, ...] | None:
    """The channels that `--channel` names, counted from 0: `0`, `2,0`; None for `mix`, their mean."""
    if text == "mix":
        return None
    try:
        picked = tuple(int(part) for part in text.split(","))
    except ValueError:
        picked = ()
    if not picked or min(picked) < 0:
        raise ConfigError(f"--channel {text} names no channel; give one as 0, several as 0,1, or mix for their mean.")
    return picked


class Picked:
    """The channels `pick` of a source, in that order; None: their mean, one channel."""

    def __init__(self, source: Source, pick: Sequence[int] | None) -> None:
        if pick is not None and max(pick) >= source.channels:
            raise ConfigError(
                f"{source.name} has {source.channels} channel{'s' * (source.channels != 1)}, counted from 0, and "
                f"--channel asks for {max(pick)}."
            )
        self.name = source.name
        self.rate_hz = source.rate_hz
        self.unit = source.unit
        self.channels = 1 if pick is None else len(pick)
        self._source = source
        self._pick = None if pick is None else np.array(pick)

    def __enter__(self) -> Picked:
        self._source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Block | Health]:
        for item in self._source:
            yield replace(item, samples=self._of(item.samples)) if isinstance(item, Block) else item

    def _of(self, samples: Samples) -> Samples:
        if self._pick is None:
            mixed: Samples = samples.mean(axis=1, keepdims=True, dtype=np.float32)
            return mixed
        return np.ascontiguousarray(samples[:, self._pick])


def can_loop(text: str) -> bool:
    """Whether a source is a recording: the folders, the demo and files, but no session, which is replayed as it was."""
    kind = kind_of(text)
    return kind in ("FOLDER", "demo:") or (kind.startswith(".") and kind != SUFFIX)


def can_be_paced(text: str) -> bool:
    """Whether a source has no pace of its own, or may have none, such as a pipe."""
    return can_loop(text) or kind_of(text) in ("-", SUFFIX)


@contextmanager
def warned_once() -> Iterator[None]:
    """Log each warning about a recording only once, however often it is opened."""
    logged: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        new = (sentence := record.getMessage()) not in logged
        logged.add(sentence)
        return new

    logger = logging.getLogger("edge_res")
    logger.addFilter(is_new)
    try:
        yield
    finally:
        logger.removeFilter(is_new)


class Loop:
    """Plays the recording that `open_again` opens, again and again; positions continue.

    Each repetition begins a recording, so the model starts over. Raises `SourceError` if the recording has
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
                        time_us = None if begun else item.time_us  # it was captured once
                        item = replace(item, at=begun + item.at, begins=item.begins or begins, time_us=time_us)
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
