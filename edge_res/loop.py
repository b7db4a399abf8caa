"""The loop: blocks in, events out."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from time import perf_counter_ns

import numpy as np

from edge_res.decide import Decide, Nearest
from edge_res.errors import EdgeResError, SignalError, SourceError
from edge_res.flow import Block, Event, Gap, Health, Samples, Scores, Signal
from edge_res.model.bundle import DecideParams
from edge_res.model.ensemble import Chain, merged, push_all
from edge_res.signal.level import Level
from edge_res.signal.resample import Resampler
from edge_res.sinks import Sink
from edge_res.sources import Source
from edge_res.sources.merging import End
from edge_res.sources.merging import merged as merged_sources
from edge_res.stats import Stats

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ID_DIGITS = 16  # of an event, hexadecimal


class Stream:
    """What belongs to one signal: level, resampler, front-end, model state, decide, counters.

    Of several chains, an ensemble, the scores are averaged. Raises `SignalError` where the model listens to another
    number of channels.
    """

    def __init__(self, signal: Source | Signal, chains: Sequence[Chain], decide: DecideParams, salt: str = "") -> None:
        manifest = merged([chain.manifest for chain in chains])
        params = manifest.front_end
        if signal.channels != params.channels:
            raise SignalError(
                f"{signal.name} has {signal.channels} channels and the model {manifest.name!r} listens to "
                f"{params.channels}; pick some with --channel, or choose a model made for it."
            )
        self.name = signal.name
        self.rate_hz = signal.rate_hz
        self.channels = signal.channels
        self.stats = Stats()
        self.end = 0  # position behind the last sample that came
        self.decider = Decide(decide, manifest.labels, manifest.delay_s, signal.name)
        self.level = Level(signal.name, signal.rate_hz, audio=not signal.unit)
        self._params = params
        self._resampler = Resampler(signal.rate_hz, params.sample_rate_hz, params.channels)
        self._chains = tuple(chains)
        self._hop = manifest.hop
        self.ready = False  # whether the window is full, so that each hop gives scores
        self._frames = 0  # since the last reset
        self._origin_s = 0.0  # where that was
        self._salt = salt  # of the ids, where neither name nor time make them unique
        self._recording = ""  # which one plays, of a source that plays several
        self._captured: tuple[int, int] | None = None  # a sample's position, and when it was captured
        self._open: dict[str, Event] = {}  # what is on, by its label

    def push(self, block: Block) -> Iterator[Scores]:
        """The scores of the hops that this block completes."""
        if len(block.samples):  # an empty block has nothing that was captured
            self._captured = None if block.time_us is None else (block.at, block.time_us)
        yield from self._hops(self._resampler.push(block.samples))

    def flush(self) -> Iterator[Scores]:
        """The scores of what the resampler still holds, at the end or before a gap."""
        yield from self._hops(self._resampler.flush())

    def decide(self, scores: Scores) -> list[Event]:
        """What switches on or off by these scores."""
        events = self.decider.push(scores)
        return self._stamped(events) if events else events

    def finish(self) -> list[Event]:
        """Switch off what is on, at the end or at a gap."""
        return self._stamped(self.decider.finish())

    def reset(self, at: int, recording: str = "") -> None:
        """Start over with sample `at` of the source: there is no score until the window is full again."""
        self._resampler.reset()
        for chain in self._chains:
            chain.reset()
        self.ready = False
        self._frames = 0
        self._origin_s = at / self.rate_hz
        self._recording = recording or self._recording

    def summary(self) -> str:
        """What was heard; if nothing fired, how near it came, with the time of day."""
        nearest = None if self.stats.events else self.decider.nearest
        return str(self.stats) if nearest is None else f"{self.stats}; {self._describe(nearest)}"

    def _describe(self, nearest: Nearest) -> str:
        when = self.time_of(nearest.at_s)
        at = f"{nearest.at_s:.1f} s" if when is None else f"{when.astimezone():%H:%M:%S}"
        score = math.floor(100 * nearest.score) / 100  # never rounded up to the threshold
        return f"nearest: {nearest.label} {score:.2f} of {nearest.threshold:.2f}, at {at}"

    def time_of(self, second: float) -> datetime | None:
        """When a second of the stream was captured, in UTC; None if that is unknown."""
        time_us = self._time_us(second)
        return None if time_us is None else _EPOCH + timedelta(microseconds=time_us)

    def _time_us(self, second: float) -> int | None:
        if self._captured is None:
            return None
        at, time_us = self._captured
        return time_us + round(1e6 * (second - at / self.rate_hz))

    def _stamped(self, events: list[Event]) -> list[Event]:
        """Events with their id and time; "off" has those of its "on"."""
        stamped = []
        for event in events:
            if event.event == "on":
                when = self._time_us(event.start_s)
                what = (self.name, self._salt, self._recording, event.label, event.start_s if when is None else when)
                digest = hashlib.sha256("\0".join(map(str, what)).encode(errors="surrogatepass")).hexdigest()
                event = replace(event, id=digest[:_ID_DIGITS], time=self.time_of(event.start_s))
                self._open[event.label] = event
            else:
                began = self._open.pop(event.label)
                event = replace(event, id=began.id, time=began.time)
            stamped.append(event)
        return stamped

    def _hops(self, samples: Samples) -> Iterator[Scores]:
        for values in push_all(self._chains, samples):
            self._frames += self._hop
            if values is not None:
                self.ready = True
                seen_s = self._params.samples_of(self._frames) / self._params.sample_rate_hz
                yield Scores(round(self._origin_s + seen_s, 6), values)


def listen(streams: Sequence[Stream], sources: Sequence[Source], sink: Sink) -> None:
    """Run until all sources have ended or failed, or the user ends it. See `events`."""
    for _ in events(streams, sources, sink):
        pass


def events(
    streams: Sequence[Stream], sources: Sequence[Source], sink: Sink, stop: threading.Event | None = None
) -> Generator[Event, None, None]:
    """Events as they come, each given to the sink as well, until all sources have ended or failed, or `stop` is set.

    A stream belongs to the source at its place. However it ends, what is on goes off. A source that fails does not stop
    the others; when they have ended, its error is raised.
    """
    of = {stream.name: stream for stream in streams}
    failed: list[tuple[str, EdgeResError]] = []
    try:
        with closing(merged_sources(sources)) as items:
            for item in items:
                stream = of[item.source]
                if isinstance(item, Block):
                    yield from _take(item, stream, sink)
                elif isinstance(item, Health):
                    stream.stats.changed(item)
                    sink.health(item)
                    if item.state == "recovering":  # the gap that would end it may be hours away
                        yield from _close(stream, sink)
                else:
                    yield from _drain(stream, sink, _nothing(stream))
                    failed += _end(item, stream, sink)
                if stop is not None and stop.is_set():
                    break
    except BaseException:  # somewhere in a block: what the streams hold may be half done
        for stream in streams:
            with suppress(EdgeResError):  # of a sink, which may be what has failed
                _close(stream, sink)
        raise
    for stream in streams:  # of those that were stopped
        yield from _close(stream, sink)
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        raise SourceError(f"{len(failed)} of {len(streams)} sources failed: {', '.join(name for name, _ in failed)}.")


def _take(block: Block, stream: Stream, sink: Sink) -> list[Event]:
    stats, rate_hz = stream.stats, stream.rate_hz
    before: list[Event] = []
    if block.lost or block.begins:
        before = _drain(stream, sink, block)
        stream.reset(block.at, block.begins)
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
    return before + _run(stream.push(block), stream, sink, block)


def _end(end: End, stream: Stream, sink: Sink) -> list[tuple[str, EdgeResError]]:
    """Report that a source has ended; where that is a failure, return the source and its error."""
    if end.error is None:
        sink.health(Health(end.source, "ended", "", stream.stats.audio_s))
        return []
    health = Health(end.source, "failed", str(end.error), stream.stats.audio_s)
    stream.stats.changed(health)
    sink.health(health)
    return [(end.source, end.error)]


def _nothing(stream: Stream) -> Block:
    return Block(stream.name, stream.end, np.empty((0, stream.channels), np.float32))


def _run(hops: Iterator[Scores], stream: Stream, sink: Sink, block: Block) -> list[Event]:
    """Take the hops that a block completes, decide, and time both; not the sinks, nor what only fills the window."""
    stats = stream.stats
    started = perf_counter_ns()
    decided = [(scores, stream.decide(scores)) for scores in hops]
    if stream.ready:
        stats.work(perf_counter_ns() - started, len(decided))
    found: list[Event] = []
    for scores, switched in decided:
        sink.hop(block, scores, stats)
        if switched:
            found += _emit(switched, stream, sink)
    return found


def _emit(switched: list[Event], stream: Stream, sink: Sink) -> list[Event]:
    stream.stats.events += len(switched)
    for event in switched:
        sink.emit(event)
    return switched


def _drain(stream: Stream, sink: Sink, block: Block) -> list[Event]:
    """Finish what the stream holds, at its end or before a gap."""
    return _run(stream.flush(), stream, sink, block) + _close(stream, sink)


def _close(stream: Stream, sink: Sink) -> list[Event]:
    """Switch off what is on."""
    return _emit(stream.finish(), stream, sink)
