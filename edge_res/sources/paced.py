"""A recording at its own pace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType

from edge_res.flow import Block, Health
from edge_res.sources import TICK_S, Source


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
