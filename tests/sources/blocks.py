"""What a source of recorded samples yields."""

from __future__ import annotations

from collections.abc import Iterator

from edge_res.flow import Block
from edge_res.sources import Source


def blocks_of(source: Source) -> Iterator[Block]:
    """Its blocks; a recording has nothing else to tell."""
    for item in source:
        assert isinstance(item, Block)
        yield item
