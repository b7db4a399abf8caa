"""Sinks, which receive events. Like a source, an output is a sink that an address selects by its scheme.

An output is always behind a `Queued`, so that it can be slow, hang or fail without disturbing the loop. The sink that
prints on stdout is not: printing is what the program is for.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol

from edge_res.address import masked
from edge_res.errors import ConfigError
from edge_res.flow import Block, Event, Gap, Health, Scores
from edge_res.model.bundle import Manifest
from edge_res.sources import Source
from edge_res.stats import Stats

SINKS = {  # scheme: module:Class
    "jsonl:": "edge_res.sinks.jsonl:JsonLinesFile",
}


class Sink:
    """Receives the results of all sources; the first argument of each method names the source.

    Override the methods that you need. The loop calls them from one thread and waits for them, so they must be quick; a
    slow sink belongs behind a `Queued`. `block` is called with each block, even an empty one, and then `hop` for each
    decision in it.
    """

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        """The sources are open; no block has arrived yet."""

    def block(self, block: Block, stats: Stats) -> None:
        """A block has arrived."""

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        """A decision was made."""

    def emit(self, event: Event) -> None:
        """A label has switched on or off."""

    def gap(self, gap: Gap) -> None:
        """Samples are missing."""

    def health(self, health: Health) -> None:
        """A source's state has changed."""

    def finish(self) -> None:
        """No more calls follow."""


class SinkClass(Protocol):
    """Makes an output from its address."""

    def __call__(self, address: str, /) -> Sink: ...


def open_sink(address: str) -> Sink:
    """The output that an address names, behind a queue of its own.

    Raises `ConfigError` for an unknown scheme, and what the output itself raises.
    """
    from edge_res.sinks.queued import Queued  # which is a sink itself

    scheme, colon, _ = address.partition(":")
    if scheme + colon not in SINKS or not colon:
        raise ConfigError(f"There is no kind of output for {masked(address)!r}; use one of {', '.join(SINKS)}.")
    module, _, name = SINKS[scheme + colon].partition(":")
    sink_class: SinkClass = getattr(importlib.import_module(module), name)
    return Queued(sink_class(address), masked(address))
