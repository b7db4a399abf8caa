"""Listening: combines sources, a model and outputs, and yields events as they occur.

`Listener` is what `edgeres listen` runs. For your own samples, see `edge_res.streaming`.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Literal

from edge_res.address import masked
from edge_res.decide import with_thresholds
from edge_res.errors import ConfigError, OutputError
from edge_res.flow import Event
from edge_res.loop import Stream, events
from edge_res.session import SUFFIX
from edge_res.sinks import Sink, open_sink
from edge_res.sinks.health import HealthReport
from edge_res.sinks.tee import Tee
from edge_res.sources import Source, Wanted, kind_of, open_source
from edge_res.sources.adapters import Loop, Paced, Picked, can_be_paced, can_loop, read_pick, warned_once
from edge_res.sources.replay import open_session
from edge_res.streaming import Model, check_count, load
from edge_res.taps import Taps, start_recording
from edge_res.telling import say

Channel = int | str | Sequence[int]  # which of a source's channels: 0, [0, 1], "0,1", or "mix", their mean

_MOST = 10_000_000  # of what a sample rate or a number of channels may be
_AT_ONCE = 12  # hops that a recording is read in


class Listener:
    """Listens to sources with a model. Iterate over it, once, to get the events.

    Sources are addresses, as on the command line (``"mic:"``, ``"recording.flac"``, ``"udp://:5005?rate=16000"`` …), or
    objects that implement `edge_res.sources.Source`. The constructor opens them, and the iteration starts them. The
    iteration ends when all sources have ended, or after `stop`. To close the sources earlier, use ``with`` or `close`.
    Slow iteration does not slow down the sources: live ones buffer some seconds, and samples lost after that are
    reported as a gap.

    `model` is a bundle (``"default"``, ``"tiny"`` or a path), an ensemble (``"A+B"``), or what `edge_res.load`
    returned. `engine`, `mode`, `threads` and `device` are passed on to `load`. `thresholds` replaces thresholds of the
    bundle by label; ``"*"`` stands for all labels that are not named.

    `channel` picks channels of a source that has more than the model uses. `rate_hz`, `channels` and `pcm_format`
    describe samples that do not describe themselves. After `give_up_s` seconds without a sample, a live source fails;
    None: never. `realtime` plays recordings at their own pace, and `loop` repeats them.

    `record` is the path of a session to record, which includes the quantized frames if `record_frames` is true.
    `health_file` is the path of a file that is replaced every second. `to` is the address of an output, such as
    ``"jsonl:events.jsonl"``, or a list of addresses; each output runs in a thread of its own. Each of `sinks` is an
    `edge_res.sinks.Sink`, called from the thread that iterates.

    Raises an `EdgeResError`, whose message is a sentence: from the constructor if possible, otherwise during iteration.

    >>> import edge_res
    >>> with edge_res.Listener("demo:") as listener:
    ...     first = next(iter(listener))
    >>> first.event, first.label, first.source
    ('on', 'yes', 'demo:')
    """

    def __init__(
        self,
        *sources: str | Path | Source,
        model: str | Path | Model = "default",
        engine: str | None = None,
        mode: Literal["step", "window"] | None = None,
        threads: int | None = None,
        device: str | None = None,
        thresholds: Mapping[str, float] | None = None,
        channel: Channel | None = None,
        rate_hz: int | None = None,
        channels: int | None = None,
        pcm_format: Literal["s16le", "f32le"] | None = None,
        give_up_s: float | None = None,
        realtime: bool = False,
        loop: bool = False,
        record: str | Path | None = None,
        record_frames: bool = False,
        health_file: str | Path | None = None,
        to: str | Sequence[str] = (),
        sinks: Sequence[Sink] = (),
    ) -> None:
        if record_frames and record is None:
            raise ConfigError("--record-frames adds to a recording; give --record FILE.edgerec as well.")
        self._iteration: Generator[Event, None, None] | None = None
        self._stop = threading.Event()
        for name, count in (("rate_hz", rate_hz), ("channels", channels)):
            check_count(name, count, _MOST)
        shared = isinstance(model, Model)  # its models may be in use elsewhere
        if shared and any(given is not None for given in (engine, mode, threads, device)):
            raise ConfigError("A model that is loaded has its engine, mode, threads and device; give them to `load`.")
        if not isinstance(model, Model):
            model = load(model, engine=engine, mode=mode, threads=threads, device=device)
        self.model = model
        manifest = model.manifest
        params = manifest.front_end
        decide = with_thresholds(manifest.decide, thresholds or {})
        pick = None if channel is None else _text_of(channel)
        want = Wanted(
            rate_hz=params.sample_rate_hz,
            channels=params.channels if pick is None else None,
            block_s=manifest.hop * params.hop_length / params.sample_rate_hz,
            given_rate_hz=rate_hz,
            given_channels=channels,
            pcm_format=pcm_format,
            give_up_s=give_up_s,
            at_once=1 if realtime else _AT_ONCE,
        )
        with ExitStack() as opening:  # what is open is closed where something else cannot be opened
            outputs = [open_sink(address) for address in ([to] if isinstance(to, str) else to)]
            for output in outputs:
                opening.callback(output.finish)
            opened = _open(sources or ("mic:",), want, loop, realtime, opening)
            self.sources: list[Source] = [_adapted(source, pick, realtime) for source in opened]
            self._recorder = None
            if record is not None:
                self._recorder = start_recording(
                    Path(record), self.sources, model.ensemble.bundles, model.models[0], decide, record_frames
                )
            self._taps = Taps(model.ensemble.bundles, decide, self._recorder, picked=pick is not None)
            self.streams: list[Stream] = []
            for place, source in enumerate(opened):
                own = [one.fork() for one in model.models] if shared or place else model.models
                chains = model.ensemble.chains(self._taps.around(own, source, place))
                self.streams.append(Stream(self.sources[place], chains, decide))
            self._closing = opening.pop_all()
        health = HealthReport(None if health_file is None else Path(health_file))
        self._sink = Tee([*sinks, *outputs, health, *([self._recorder] if self._recorder else [])])
        for sentence in (*self._taps.notes, *map(self._describe, self.sources)):
            say(sentence)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> Generator[Event, None, None]:
        """The events, as they occur; raises the error of a source that fails."""
        if self._iteration is not None:
            raise ConfigError("A Listener can be iterated over once; make another one.")
        self._iteration = self._events()
        return self._iteration

    def _events(self) -> Generator[Event, None, None]:
        try:
            with self._closing:
                for source in self.sources:
                    source.__enter__()
                self._sink.start(self.sources, self.model.manifest)
                yield from events(self.streams, self.sources, self._sink, self._stop)
        finally:
            self._sink.finish()

    def __aiter__(self) -> AsyncIterator[Event]:
        """The events, for `async for`; it listens in a thread of its own. Leaving the loop stops it."""
        from edge_res.asynchronous import events_of  # asyncio takes 3 MB

        return events_of(self)

    def run(self) -> None:
        """Listen until the sources end; events go only to the outputs and sinks."""
        for _ in self:
            pass

    def stop(self) -> None:
        """End the iteration soon, from any thread. Labels that are on go off, and the sources are closed."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and close sources and outputs; an iteration in another thread does so itself, soon."""
        self.stop()
        if self._iteration is None:
            self._iteration = self._events()
        try:
            self._iteration.close()
        except ValueError:  # it runs in another thread, and stops soon
            return
        self._closing.close()  # what a generator that never began has left open

    def check(self) -> None:
        """Raise an `OutputError` if the recording of the session was cut off."""
        if self._recorder and self._recorder.writer.failure:
            raise OutputError(self._recorder.writer.failure)

    def summary(self) -> list[str]:
        """A sentence for each source that delivered anything: how much was heard and lost, and how long a hop took."""
        several = len(self.streams) > 1
        return [
            f"{stream.name + ', ' * several if several else ''}{stream.summary()}"
            for stream in self.streams
            if stream.stats.audio_s or stream.stats.interruptions
        ]

    def findings(self) -> list[str]:
        """Sentences about other findings: that no decision was possible, or how a replay compared with its session."""
        manifest = self.model.manifest
        found = []
        if not any(stream.stats.hops for stream in self.streams):
            window_s = manifest.front_end.samples_of(manifest.frames) / manifest.front_end.sample_rate_hz
            found.append(f"nothing could be decided: a decision looks at {window_s:.2f} s without a gap")
        return [*found, *self._taps.findings()]

    def _describe(self, source: Source) -> str:
        manifest, first = self.model.manifest, self.model.models[0]
        rate_hz = manifest.front_end.sample_rate_hz
        unit = f" ({source.unit})" if source.unit else ""
        resampled = f" resampled from {source.rate_hz} Hz" if source.rate_hz != rate_hz else ""
        threads = self.model.threads
        return (
            f"listening to {source.name}{unit}{resampled} with {manifest.name}, int8 {first.mode} on "
            f"{first.runner.engine}, {threads} thread{'s' * (threads > 1)}"
        )


def _open(
    addresses: Sequence[str | Path | Source], want: Wanted, loop: bool, realtime: bool, closing: ExitStack
) -> list[Source]:
    """The sources that were named, each name once; opened, not started, and closed by `closing`."""
    _refuse_twice([each for each in addresses if isinstance(each, str)])
    sources: list[Source] = []
    if loop:
        closing.enter_context(warned_once())
    for address in addresses:
        if not isinstance(address, (str, Path)):
            closing.push(address)
            sources.append(address)
            continue
        text = str(address)
        if loop and not can_loop(text):
            raise ConfigError(f"--loop plays recordings again and again, and {masked(text)} is not one; leave it out.")
        if realtime and not can_be_paced(text):
            raise ConfigError(f"--realtime plays recordings at their pace, and {masked(text)} is live; leave it out.")
        if kind_of(text) == SUFFIX:
            sources += open_session(text, want)  # leaves nothing open
        else:
            again = partial(open_source, text, want)
            source: Source = Loop(again) if loop else again()
            closing.push(source)
            sources.append(source)
    _refuse_twice([source.name for source in sources])
    return sources


def _refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"The source {masked(name)} is named twice; name each once.")


def _adapted(source: Source, pick: str | None, realtime: bool) -> Source:
    """The channels that were asked for, at the pace that was asked for."""
    if pick is not None:
        source = Picked(source, read_pick(pick))
    return Paced(source) if realtime else source


def _text_of(channel: Channel) -> str:
    return (
        channel if isinstance(channel, str) else ",".join(map(str, [channel] if isinstance(channel, int) else channel))
    )


listen = Listener  # `for event in edge_res.listen("mic:")` reads better
