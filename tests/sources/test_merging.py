"""Several sources as one stream: no mix-ups, no waiting for a slow one, errors and ends are reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from edge_res.errors import SourceError
from edge_res.flow import Block
from edge_res.sources.merging import End, merged


class Counting:
    """Delivers `blocks` blocks in one buffer that it uses again, each holding its own number."""

    rate_hz, channels, unit = 1000, 1, ""

    def __init__(self, name: str, blocks: int, every_s: float = 0.0, failure: Exception | None = None) -> None:
        self.name = name
        self.yielded = 0
        self._blocks = blocks
        self._every_s = every_s
        self._failure = failure

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def __iter__(self) -> Iterator[Block]:
        buffer = np.zeros((10, 1), np.float32)
        for i in range(self._blocks):
            time.sleep(self._every_s)
            buffer[:] = i
            self.yielded = i + 1
            yield Block(self.name, 10 * i, buffer)
        if self._failure:
            raise self._failure


@pytest.mark.parametrize("count", [1, 2, 8])
def test_the_blocks_of_each_source_come_complete_and_in_order(count: int) -> None:
    sources = [Counting(f"s{i}", 300) for i in range(count)]
    found: dict[str, list[float]] = {source.name: [] for source in sources}
    ended = []
    for item in merged(sources):
        if isinstance(item, Block):
            assert item.at == 10 * item.samples[0, 0]
            found[item.source].append(float(item.samples[0, 0]))
            assert (item.samples == item.samples[0]).all()
        else:
            assert isinstance(item, End)
            ended.append(item.source)
    assert sorted(ended) == sorted(found)
    for values in found.values():
        assert values == list(range(300))


def test_a_block_is_valid_until_the_next_item_is_requested() -> None:
    sources = [Counting("a", 50), Counting("b", 50)]
    for item in merged(sources):
        if isinstance(item, Block):
            before = item.samples.copy()
            time.sleep(0.002)  # whoever would overwrite it has the time to
            np.testing.assert_array_equal(item.samples, before)


def test_a_slow_source_does_not_hold_up_the_others() -> None:
    slow, quick = Counting("slow", 3, every_s=0.3), Counting("quick", 200)
    order = [item.source for item in merged([slow, quick]) if isinstance(item, End)]
    assert order == ["quick", "slow"]


def test_a_failed_source_is_reported_and_the_others_continue() -> None:
    failure = SourceError("gone")
    sources = [Counting("a", 5, failure=failure), Counting("b", 100, every_s=0.001)]
    items = list(merged(sources))
    assert {item.source: item.error for item in items if isinstance(item, End)} == {"a": failure, "b": None}
    assert sum(item.source == "b" for item in items) == 101


@pytest.mark.parametrize("count", [1, 2])
def test_a_fault_of_the_program_is_not_hidden(count: int) -> None:
    sources = [Counting("a", 5, failure=ZeroDivisionError()), Counting("b", 10**9, every_s=0.001)][:count]
    with pytest.raises(ZeroDivisionError):
        list(merged(sources))


def test_no_source_is_read_after_the_reader_has_gone() -> None:
    before = threading.active_count()
    sources = [Counting(f"s{i}", 10**9) for i in range(4)]
    with closing(merged(sources)) as items:
        for _ in range(100):
            next(items)
    assert threading.active_count() == before
    yielded = [source.yielded for source in sources]
    time.sleep(0.01)
    assert [source.yielded for source in sources] == yielded
