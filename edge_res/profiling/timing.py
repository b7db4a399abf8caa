"""Timing the unchanged loop of `listen`, with a source in front of it and wrappers around its parts.

The source times the whole, from the arrival of a hop's samples until the loop asks for the next ones: ring, level,
front-end, model, decide and sinks, as with a microphone. Wrappers time the parts; they are put around them for some
hops and removed again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from time import perf_counter_ns
from types import GeneratorType
from typing import Any

import numpy as np

from edge_res.flow import Block
from edge_res.loop import Stream
from edge_res.model.ensemble import Chain
from edge_res.model.models import StepModel, WindowModel
from edge_res.signal.ring import Ring
from edge_res.sources import Source

STAGES = ("ring", "level", "front_end", "quantize", "engine", "decide", "rest")

_MADE = 64  # blocks of noise, generated once and then repeated


class Synthetic:
    """Noise at -20 dB, generated beforehand: an iteration gives `hops` blocks, float32 `(length, channels)`."""

    name = "synthetic"
    unit = ""

    def __init__(self, rate_hz: int, channels: int, length: int) -> None:
        self.rate_hz = rate_hz
        self.channels = channels
        self.hops = 0
        noise = np.frombuffer(Random(0).randbytes(2 * _MADE * length * channels), np.int16)  # numpy.random takes 4 MB
        self._blocks = (noise * np.float32(0.17 / 32768)).reshape(_MADE, length, channels)

    def __enter__(self) -> Synthetic:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __iter__(self) -> Iterator[Block]:
        for i in range(self.hops):
            samples = self._blocks[i % _MADE]
            yield Block(self.name, i * len(samples), samples)


class Clocked:
    """Passes another source's blocks through a ring, and records how long the loop works on each.

    `spent_ns` holds these times, `ring_ns` the ring's part of them, and `done_ns` when each block was done, counted
    from the start of the iteration.
    """

    unit = ""

    def __init__(self, source: Source, length: int) -> None:
        self.name = source.name
        self.rate_hz = source.rate_hz
        self.channels = source.channels
        self.spent_ns, self.ring_ns, self.done_ns = array("q"), array("q"), array("q")  # 8 bytes each
        self._source = source
        self._ring = Ring(8 * length, source.channels, length)

    def __enter__(self) -> Clocked:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def start(self, source: Source) -> None:
        """Forget the times, and take the next blocks from `source`."""
        self._source = source
        self.spent_ns, self.ring_ns, self.done_ns = array("q"), array("q"), array("q")

    def missed(self, hop_s: float) -> int:
        """For a paced source: how many blocks were not done when the samples of the next one arrived."""
        return sum(done > 1e9 * hop_s * (i + 2) for i, done in enumerate(self.done_ns))

    def __iter__(self) -> Iterator[Block]:
        ring, begun = self._ring, perf_counter_ns()
        for item in self._source:
            assert isinstance(item, Block)
            started = perf_counter_ns()
            ring.write(item.samples)
            block = Block(self.name, item.at, ring.view(len(item.samples)))
            written = perf_counter_ns()
            yield block
            used = perf_counter_ns()
            ring.advance(len(item.samples))
            ended = perf_counter_ns()
            self.spent_ns.append(ended - started)
            self.ring_ns.append(written - started + ended - used)
            self.done_ns.append(ended - begun)


Parts = Mapping[str, Sequence[tuple[object, str]]]  # stage: objects, and the method of each to time


def parts_of(stream: Stream, chains: Sequence[Chain], models: Sequence[StepModel | WindowModel]) -> Parts:
    """The parts of a stream for `timed`; `model` is quantization, softmax and, inside it, `engine`."""
    return {
        "level": [(stream.level, "push")],
        "front_end": [(chain.front_end, "push") for chain in chains],
        "model": [(model, "push") for model in models],
        "engine": [(model.runner, "advance" if model.mode == "step" else "run") for model in models],
        "decide": [(stream, "decide")],
    }


@contextmanager
def timed(parts: Parts) -> Iterator[dict[str, list[int]]]:
    """Time methods inside the context; yields the nanoseconds of each call by name of the part."""
    spent: dict[str, list[int]] = {name: [] for name in parts}
    for name, methods in parts.items():
        for owner, method in methods:
            setattr(owner, method, _timing(getattr(owner, method), spent[name]))
    try:
        yield spent
    finally:
        for methods in parts.values():
            for owner, method in methods:
                delattr(owner, method)  # uncovers the class's own


def _timing(method: Callable[..., Any], spent: list[int]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        started = perf_counter_ns()
        result = method(*arguments)
        if type(result) is GeneratorType:  # a generator works only when it is iterated
            result = list(result)
        spent.append(perf_counter_ns() - started)
        return result

    return call


def stages(spent: Mapping[str, Sequence[int]], ring_ns: Sequence[int], whole_ns: Sequence[int]) -> dict[str, float]:
    """Median microseconds per hop of each of `STAGES`; `rest` is the whole without the others: loop, glue, sinks.

    For each part, `spent` holds one time per hop, or in an ensemble one per model, hop by hop.
    """
    hops = len(whole_ns)
    parts = {name: np.reshape(np.array(times), (hops, -1)).sum(axis=1) for name, times in spent.items()}
    quantize = parts["model"] - parts["engine"]
    found = {**parts, "ring": np.array(ring_ns), "quantize": quantize}
    found["rest"] = np.array(whole_ns) - sum(found[name] for name in STAGES[:-1])
    return {name: round(float(np.median(found[name])) / 1000, 2) for name in STAGES}
