"""Sinks: where events go."""

from __future__ import annotations

from collections.abc import Sequence

from edge_res.flow import Block, Event, Gap, Health, Scores
from edge_res.model.bundle import Manifest
from edge_res.sources import Source
from edge_res.stats import Stats


class Sink:
    """Where results go, of all sources; the first field of what a method is given names the source.

    A sink overrides what it cares for. The loop calls it from one thread and waits for it, so a method must be quick: a
    slow sink belongs behind a `Queued`. `block` is called with each block, an empty one too; `hop` at each decision,
    after the block's call.
    """

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        """The sources are open; nothing has come yet."""

    def block(self, block: Block, stats: Stats) -> None:
        """A block has come."""

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        """A decision was made."""

    def emit(self, event: Event) -> None:
        """A label has switched on or off."""

    def gap(self, gap: Gap) -> None:
        """Samples are missing."""

    def health(self, health: Health) -> None:
        """A source's state has changed."""

    def finish(self) -> None:
        """Nothing follows."""
