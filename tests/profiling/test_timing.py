"""Timing changes nothing of what the loop computes, and is removed afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge_res.engines import load_engine
from edge_res.flow import Block
from edge_res.loop import Stream
from edge_res.model.bundle import read_bundle
from edge_res.model.ensemble import Chain
from edge_res.model.models import load_model
from edge_res.profiling.timing import STAGES, Clocked, Synthetic, parts_of, stages, timed


def test_noise_is_the_same_each_time_and_as_loud_as_stated() -> None:
    noise = Synthetic(16000, 2, 100)
    noise.hops = 70
    first, again = list(noise), list(noise)
    assert len(first) == 70
    assert [block.at for block in first] == [100 * i for i in range(70)]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(first, again, strict=True))
    samples = np.concatenate([block.samples for block in first])
    assert samples.dtype == np.float32
    assert samples.shape == (7000, 2)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=0.05)


def test_blocks_pass_the_ring_unchanged_and_are_timed() -> None:
    noise = Synthetic(1000, 1, 30)
    noise.hops = 40
    source = Clocked(noise, 30)
    for block, expected in zip(source, noise, strict=True):
        assert np.array_equal(block.samples, expected.samples)
        assert block.at == expected.at
    assert len(source.spent_ns) == len(source.ring_ns) == len(source.done_ns) == 40
    assert all(0 < ring <= spent for ring, spent in zip(source.ring_ns, source.spent_ns, strict=True))
    assert list(source.done_ns) == sorted(source.done_ns)
    source.start(noise)
    assert not source.spent_ns


def test_a_deadline_is_missed_if_the_next_hop_arrives_first() -> None:
    source = Clocked(Synthetic(1000, 1, 10), 10)
    source.done_ns.extend([19_000_000, 29_000_000, 41_000_000])  # due after 20, 30 and 40 ms
    assert source.missed(0.010) == 1


def test_wrappers_change_nothing_and_are_removed() -> None:
    bundle = read_bundle("tiny")
    params = bundle.manifest.front_end
    length = bundle.manifest.hop * params.hop_length
    model = load_model(bundle, load_engine("litert"))
    chain = Chain(bundle.manifest, model)
    noise = Synthetic(params.sample_rate_hz, params.channels, length)
    stream = Stream(noise, [chain], bundle.manifest.decide)
    noise.hops = bundle.manifest.frames // bundle.manifest.hop + 3

    def scores() -> list[list[float]]:
        stream.reset(at=0)
        found = []
        for block in noise:
            assert isinstance(block, Block)
            assert list(stream.level.push(block.samples)) == []
            for one in stream.push(block):
                stream.decide(one)
                found.append(one.values.tolist())
        return found

    plain = scores()
    with timed(parts_of(stream, [chain], [model])) as spent:
        assert scores() == plain
    assert {name: len(times) for name, times in spent.items()} == {
        "level": noise.hops,
        "front_end": noise.hops,
        "model": len(spent["engine"]),
        "engine": len(spent["model"]),
        "decide": len(plain),
    }
    assert all(whole >= part > 0 for whole, part in zip(spent["model"], spent["engine"], strict=True))
    scores()
    assert len(spent["level"]) == noise.hops  # nothing is timed any more
    assert not {"push", "decide", "advance"} & {
        *vars(stream),
        *vars(chain.front_end),
        *vars(model),
        *vars(model.runner),
    }


def test_a_generator_is_timed_while_it_works() -> None:
    class Part:
        done = 0

        def push(self, n: int) -> Iterator[int]:
            for i in range(n):
                self.done += 1
                yield i

    part = Part()
    with timed({"part": [(part, "push")]}) as spent:
        made = part.push(3)
        assert (part.done, len(spent["part"])) == (3, 1)
    assert list(made) == [0, 1, 2]
    part.push(3)
    assert part.done == 3


def test_the_stages_add_up() -> None:
    spent = {
        "level": [1000, 1000, 1000],
        "front_end": [4000, 5000, 6000],
        "model": [30_000, 30_000, 30_000],
        "engine": [20_000, 20_000, 20_000],
        "decide": [2000, 2000, 2000],
    }
    found = stages(spent, [500, 500, 500], [40_000, 41_000, 42_000])
    assert tuple(found) == STAGES
    assert found == {
        "ring": 0.5,
        "level": 1.0,
        "front_end": 5.0,
        "quantize": 10.0,
        "engine": 20.0,
        "decide": 2.0,
        "rest": 2.5,
    }


def test_the_models_of_an_ensemble_are_added_hop_by_hop() -> None:
    spent = {"level": [1000, 1000], "decide": [1000, 1000]}
    both = {"front_end": [1000, 2000, 3000, 4000], "model": [5000] * 4, "engine": [4000] * 4}
    found = stages({**spent, **both}, [0, 0], [100_000, 100_000])
    assert found["front_end"] == 5.0  # of 1 + 2 and 3 + 4
    assert found["engine"] == 8.0
    assert found["quantize"] == 2.0
