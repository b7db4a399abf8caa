"""A queue before an output, so that the loop never waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_res.flow import Block, Event, Gap, Health, Scores
from edge_res.model.bundle import Manifest
from edge_res.sinks import Sink
from edge_res.sources import Source
from edge_res.stats import Stats
from edge_res.telling import LOGGER

_PATIENCE_S = 2.0  # that an output may take at the end for what is still queued


class Queued(Sink):
    """Hands everything that `sink` cares for to a thread of its own, through a queue of `limit` items.

    What finds the queue full is dropped and counted; what the sink raises is reported and counted, and does not end the
    listening. At the end the sink has two seconds for what is queued. `dropped` and `failed` are the counts.
    """

    def __init__(self, sink: Sink, name: str, limit: int = 1000) -> None:
        self.dropped = 0
        self.failed = 0
        self._sink = sink
        self._name = name
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(limit)
        self._thread = threading.Thread(target=self._work, name=f"output {name}", daemon=True)
        self._behind = self._finished = False
        self._failure = ""  # the last one
        self._takes_blocks = type(sink).block is not Sink.block
        self._takes_hops = type(sink).hop is not Sink.hop

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        self._thread.start()
        self._put(lambda: self._sink.start(sources, manifest))

    def block(self, block: Block, stats: Stats) -> None:
        if self._takes_blocks:  # whose samples are a view that holds only until the next block
            kept = replace(block, samples=block.samples.copy())
            self._put(lambda: self._sink.block(kept, stats))

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        if self._takes_hops:
            kept, values = replace(block, samples=block.samples[:0]), replace(scores, values=scores.values.copy())
            self._put(lambda: self._sink.hop(kept, values, stats))

    def emit(self, event: Event) -> None:
        self._put(lambda: self._sink.emit(event))

    def gap(self, gap: Gap) -> None:
        self._put(lambda: self._sink.gap(gap))

    def health(self, health: Health) -> None:
        self._put(lambda: self._sink.health(health))

    def finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        if not self._thread.is_alive():  # it was never started
            self._does(self._sink.finish)
            return
        try:
            self._queue.put(None, timeout=_PATIENCE_S)
            self._thread.join(_PATIENCE_S)
        except queue.Full:
            pass
        left = self._queue.qsize() if self._thread.is_alive() else 0
        if missing := self.dropped + self.failed + left:
            LOGGER.warning("%d item%s could not be delivered to %s", missing, "s" * (missing > 1), self._name)

    def _put(self, work: Callable[[], None]) -> None:
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            self.dropped += 1
            if not self._behind:
                LOGGER.warning("%s does not keep up: items are dropped until it does", self._name)
            self._behind = True
        else:
            self._behind = self._behind and self._queue.qsize() > self._queue.maxsize // 2

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            self._does(work)
        self._does(self._sink.finish)

    def _does(self, work: Callable[[], None]) -> None:
        """Let the sink do it; the same failure as the last one is not reported again."""
        try:
            work()
        except Exception as error:
            self.failed += 1
            if str(error) != self._failure:
                LOGGER.warning("%s failed: %s", self._name, str(error).removesuffix("."))
            self._failure = str(error)
