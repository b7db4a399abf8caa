"""What a thread puts in, the loop gets out."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from edge_res.errors import SignalError, SourceError
from edge_res.flow import Block, Health
from edge_res.sources import Wanted
from edge_res.sources.feed import Feed

WANT = Wanted(1000, 1, 0.1, give_up_s=0.5)


def column(*values: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(values, np.float32).reshape(-1, 1)


def test_blocks_are_of_a_hop_at_most_and_end_at_gaps() -> None:
    feed = Feed("x", 1000, 1, WANT, 1.0)
    feed.put(column(*range(250)))
    feed.put(column(*range(5)), lost=7)
    blocks = [(block.at, len(block.samples), block.lost) for block in islice(feed, 4) if isinstance(block, Block)]
    assert blocks == [(0, 100, 0), (100, 100, 0), (200, 50, 0), (257, 5, 7)]


def test_more_than_there_is_room_for_waits_for_room() -> None:
    feed = Feed("x", 1000, 1, WANT, 1.0, buffer_s=0.3)
    feed.start(lambda: feed.put(column(*range(1000)), patience_s=30.0))
    found: list[Block] = []
    for block in feed:
        assert isinstance(block, Block)
        found.append(replace(block, samples=block.samples.copy()))
        if block.at + len(block.samples) == 1000:
            break
    feed.stop()
    assert [block.lost for block in found] == [0] * len(found)
    assert np.concatenate([block.samples for block in found]).ravel().tolist() == list(range(1000))


def test_what_is_no_number_is_lost_where_it_is() -> None:
    feed = Feed("x", 1000, 1, WANT, 1.0)
    feed.put(column(1, 2, np.nan, np.inf, 3, np.nan))
    feed.put(column(4))
    blocks = [(block.lost, block.samples.ravel().tolist()) for block in islice(feed, 3) if isinstance(block, Block)]
    assert blocks == [(0, [1, 2]), (2, [3]), (1, [4])]


def test_an_error_of_the_thread_comes_behind_its_samples_and_losses() -> None:
    feed = Feed("x", 1000, 1, WANT, 1.0)

    def work() -> None:
        feed.put(column(1, 2))
        feed.put(column(), lost=3)
        raise SignalError("It is wrong.")

    feed.start(work)
    feed.stop()
    items = iter(feed)
    first, last = next(items), next(items)
    assert isinstance(first, Block)
    assert isinstance(last, Block)
    assert [(first.lost, len(first.samples)), (last.lost, len(last.samples))] == [(0, 2), (3, 0)]
    with pytest.raises(SignalError, match=r"^It is wrong\.$"):
        next(items)


def test_a_fault_of_ours_is_not_silence() -> None:
    feed = Feed("x", 1000, 1, WANT, 1.0)

    def work() -> None:
        raise IndexError

    feed.start(work)
    feed.stop()
    with pytest.raises(IndexError):
        next(iter(feed))


def test_the_states_of_a_feed() -> None:
    feed = Feed("x", 1000, 1, WANT, 0.1)
    feed.put(column(1))
    states = []

    def listen() -> None:
        for item in feed:
            if isinstance(item, Health):
                states.append(item.state)
                feed.trouble("the plug is out")

    with pytest.raises(SourceError) as caught:
        listen()
    assert states == ["alarmed", "recovering"]
    assert str(caught.value).startswith("x has delivered no sample for 0.")
    assert str(caught.value).endswith("s and is given up: the plug is out.")


def test_trouble_is_over_with_the_next_sample() -> None:
    feed = Feed("x", 1000, 1, WANT, 0.4)
    feed.trouble("the plug is out")
    feed.put(column(np.nan))
    items = iter(feed)
    told = list(islice(items, 3))
    feed.put(column(1))
    told += islice(items, 3)
    states = [item.state if isinstance(item, Health) else len(item.samples) for item in told]
    assert states == ["recovering", 0, 0, "healthy", 1, 0]


def test_stopping_ends_the_thread() -> None:
    feed = Feed("x", 1000, 1, WANT, 0.1)

    def work() -> None:
        feed.stopping.wait(60)

    feed.start(work)
    feed.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "receive x"]
