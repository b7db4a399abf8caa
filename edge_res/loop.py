"""The loop: blocks in, events out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from time import perf_counter_ns

import numpy as np

from edge_res.decide import Decide
from edge_res.errors import EdgeResError, SignalError, SourceError
from edge_res.flow import Block, Event, Gap, Health, Samples, Scores
from edge_res.model.bundle import DecideParams
from edge_res.model.ensemble import Chain, merged, push_all
from edge_res.signal.level import Level
from edge_res.signal.resample import Resampler
from edge_res.sinks import Sink
from edge_res.sources import Source
from edge_res.sources.merging import End
from edge_res.sources.merging import merged as merged_sources
from edge_res.stats import Stats


class Stream:
    """What belongs to one source: level, resampler, front-end, model state, decide, counters.

    Of several chains, an ensemble, the scores are averaged.
    """

    def __init__(self, source: Source, chains: Sequence[Chain], decide: DecideParams) -> None:
        manifest = merged([chain.manifest for chain in chains])
        params = manifest.front_end
        if source.channels != params.channels:
            raise SignalError(
                f"{source.name} has {source.channels} channels and the model {manifest.name!r} listens to "
                f"{params.channels}; pick some with --channel, or choose a model made for it."
            )
        self.source = source
        self.stats = Stats()
        self.end = 0  # position behind the last sample that came
        self.decider = Decide(decide, manifest.labels, manifest.delay_s, source.name)
        self.level = Level(source.name, source.rate_hz, audio=not source.unit)
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


def listen(streams: Sequence[Stream], sink: Sink) -> None:
    """Run until all sources have ended or failed, or the user ends it; either way, what is on goes off.

    A source that fails does not stop the others; when they have ended, its error is raised.
    """
    of = {stream.source.name: stream for stream in streams}
    failed: list[tuple[str, EdgeResError]] = []
    try:
        with closing(merged_sources([stream.source for stream in streams])) as items:
            for item in items:
                stream = of[item.source]
                if isinstance(item, Block):
                    _take(item, stream, sink)
                elif isinstance(item, Health):
                    stream.stats.told(item)
                    sink.health(item)
                    if item.state == "recovering":  # the gap that would end it may be hours away
                        _close(stream, sink)
                else:
                    _drain(stream, sink, _nothing(stream))
                    failed += _end(item, stream, sink)
    except KeyboardInterrupt:  # somewhere in the middle of a block: what the streams hold may be half done
        for stream in streams:
            _close(stream, sink)
        raise
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        raise SourceError(f"{len(failed)} of {len(streams)} sources failed: {', '.join(name for name, _ in failed)}.")


def _take(block: Block, stream: Stream, sink: Sink) -> None:
    stats, rate_hz = stream.stats, stream.source.rate_hz
    if block.lost or block.begins:
        _drain(stream, sink, block)
        stream.reset(at=block.at)
    if block.lost:  # a gap is data, not an exception
        stats.lost += block.lost
        stats.gaps += 1
        sink.gap(Gap(block.lost, block.lost / rate_hz, block.at / rate_hz, block.source))
    stream.end = block.at + len(block.samples)
    stats.audio_s = stream.end / rate_hz
    for warning in stream.level.push(block.samples):
        logging.getLogger("edge_res").warning("%s", warning)
    stats.peak = stream.level.peak
    sink.block(block, stats)
    _run(stream.push(block), stream, sink, block)


def _end(end: End, stream: Stream, sink: Sink) -> list[tuple[str, EdgeResError]]:
    """Tell that a source is no more; where that is a failure, the source and its error."""
    if end.error is None:
        sink.health(Health(end.source, "ended", "", stream.stats.audio_s))
        return []
    health = Health(end.source, "failed", str(end.error), stream.stats.audio_s)
    stream.stats.told(health)
    sink.health(health)
    return [(end.source, end.error)]


def _nothing(stream: Stream) -> Block:
    return Block(stream.source.name, stream.end, np.empty((0, stream.source.channels), np.float32))


def _run(hops: Iterator[Scores], stream: Stream, sink: Sink, block: Block) -> None:
    """Take the hops that a block completes, decide, and time both; not the sinks, nor what only fills the window."""
    stats = stream.stats
    started = perf_counter_ns()
    decided = [(scores, stream.decide(scores)) for scores in hops]
    if stream.ready:
        stats.work(perf_counter_ns() - started, len(decided))
    for scores, events in decided:
        stats.events += len(events)
        sink.hop(block, scores, stats)
        for event in events:
            sink.emit(event)


def _drain(stream: Stream, sink: Sink, block: Block) -> None:
    """Finish what the stream holds, at its end or before a gap."""
    _run(stream.flush(), stream, sink, block)
    _close(stream, sink)


def _close(stream: Stream, sink: Sink) -> None:
    """Switch off what is on."""
    for event in stream.decider.finish():
        stream.stats.events += 1
        sink.emit(event)
