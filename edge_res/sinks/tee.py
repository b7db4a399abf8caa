"""Several sinks as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from edge_res.flow import Block, Event, Gap, Health, Scores
from edge_res.model.bundle import Manifest
from edge_res.sinks import Sink
from edge_res.sources import Source
from edge_res.stats import Stats


class Tee(Sink):
    """Gives everything to each of its sinks, in their order."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        for sink in self._sinks:
            sink.start(sources, manifest)

    def block(self, block: Block, stats: Stats) -> None:
        for sink in self._sinks:
            sink.block(block, stats)

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        for sink in self._sinks:
            sink.hop(block, scores, stats)

    def emit(self, event: Event) -> None:
        for sink in self._sinks:
            sink.emit(event)

    def gap(self, gap: Gap) -> None:
        for sink in self._sinks:
            sink.gap(gap)

    def health(self, health: Health) -> None:
        for sink in self._sinks:
            sink.health(health)

    def finish(self) -> None:
        with ExitStack() as all_of_them:  # also where one cannot
            for sink in reversed(self._sinks):
                all_of_them.callback(sink.finish)
