"""Some channels of a source, or their mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np

from edge_res.errors import ConfigError
from edge_res.flow import Block, Health, Samples
from edge_res.sources import Source


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
