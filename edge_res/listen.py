"""The loop: blocks in, events out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter_ns

import numpy as np

from edge_res.bundle import DecideParams
from edge_res.chain import Chain, merged, push_all
from edge_res.decide import Decide
from edge_res.errors import EdgeResError, SignalError
from edge_res.flow import Block, Event, Gap, Samples, Scores
from edge_res.resample import Resampler
from edge_res.sinks import Sink, Stats
from edge_res.sources import Source


class Stream:
    """What belongs to one source: resampler, front-end, model state, decide. The engine behind the model is shared.

    Of several chains, an ensemble, the scores are averaged.
    """

    def __init__(self, source: Source, chains: Sequence[Chain], decide: DecideParams) -> None:
        manifest = merged([chain.manifest for chain in chains])
        params = manifest.front_end
        if source.channels != params.channels:
            raise SignalError(
                f"{source.name} has {source.channels} channels and the model {manifest.name!r} listens to "
                f"{params.channels}; convert it first, or choose a model made for it."
            )
        self.source = source
        self.decider = Decide(decide, manifest.labels, manifest.delay_s, source.name)
        self._params = params
        self._resampler = Resampler(source.rate_hz, params.sample_rate_hz, params.channels)
        self._chains = tuple(chains)
        self._hop = manifest.hop
        self.ready = False  # whether the window is full, so that each hop gives scores
        self._frames = 0  # since the last reset
        self._origin_s = 0.0  # where that was

    def push(self, block: Block) -> Iterator[Scores]:
        """The scores of the hops that this block completes."""
        yield from self._hops(self._resampler.push(block.samples))

    def flush(self) -> Iterator[Scores]:
        """The scores of what the resampler still holds, at the end or before a gap."""
        yield from self._hops(self._resampler.flush())

    def decide(self, scores: Scores) -> list[Event]:
        return self.decider.push(scores)

    def reset(self, at: int) -> None:
        """Start anew behind a gap, with sample `at` of the source: no score until the window is full again."""
        self._resampler.reset()
        for chain in self._chains:
            chain.reset()
        self.ready = False
        self._frames = 0
        self._origin_s = at / self.source.rate_hz

    def _hops(self, samples: Samples) -> Iterator[Scores]:
        for values in push_all(self._chains, samples):
            self._frames += self._hop
            if values is not None:
                self.ready = True
                seen_s = self._params.samples_of(self._frames) / self._params.sample_rate_hz
                yield Scores(round(self._origin_s + seen_s, 6), values)


def listen(source: Source, stream: Stream, sink: Sink, stats: Stats) -> None:
    """Run until the source ends or fails, or the user ends it; either way, what is on goes off."""
    end = 0
    try:
        for block in source:
            end = block.at + len(block.samples)
            if block.lost:  # a gap is data, not an exception
                stats.lost += block.lost
                _drain(stream, sink, stats, block)
                sink.gap(Gap(block.lost, block.lost / source.rate_hz, block.at / source.rate_hz, source.name))
                stream.reset(at=block.at)
            stats.audio_s = end / source.rate_hz
            sink.block(block, stats)
            _run(stream.push(block), stream, sink, stats, block)
    except EdgeResError:
        _drain(stream, sink, stats, _nothing(source, end))
        raise
    except KeyboardInterrupt:  # somewhere in the middle of a block: what the stream holds may be half done
        _close(stream, sink, stats)
        raise
    _drain(stream, sink, stats, _nothing(source, end))


def _nothing(source: Source, at: int) -> Block:
    return Block(source.name, at, np.empty((0, source.channels), np.float32))


def _run(hops: Iterator[Scores], stream: Stream, sink: Sink, stats: Stats, block: Block) -> None:
    """Take the hops that a block completes, decide, and time both; not the sinks, nor what only fills the window."""
    started = perf_counter_ns()
    for scores in hops:
        events = stream.decide(scores)
        stats.hop(perf_counter_ns() - started)
        stats.events += len(events)
        sink.hop(block, scores, stats)
        for event in events:
            sink.emit(event)
        started = perf_counter_ns()
    if stream.ready:
        stats.part(perf_counter_ns() - started)


def _drain(stream: Stream, sink: Sink, stats: Stats, block: Block) -> None:
    """Finish what the stream holds, at its end or before a gap."""
    _run(stream.flush(), stream, sink, stats, block)
    _close(stream, sink, stats)


def _close(stream: Stream, sink: Sink, stats: Stats) -> None:
    """Switch off what is on."""
    for event in stream.decider.finish():
        stats.events += 1
        sink.emit(event)
