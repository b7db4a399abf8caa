"""`edgeres listen`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_res.address import masked
from edge_res.commands.chosen import choose
from edge_res.commands.options import (
    Channel,
    Engine,
    EngineThreads,
    GiveUp,
    Mode,
    PcmFormat,
    complete_bundle,
)
from edge_res.decide import with_thresholds
from edge_res.devices import find_device, stay_on
from edge_res.devices.profiles import left_out, member_names
from edge_res.errors import ConfigError, OutputError
from edge_res.loop import Stream
from edge_res.loop import listen as run_loop
from edge_res.model.bundle import Bundle, Manifest
from edge_res.model.ensemble import Chain, merged, read_members
from edge_res.model.models import Model, load_model
from edge_res.model.verify import prove
from edge_res.session import SUFFIX
from edge_res.sinks import Sink
from edge_res.sinks.health import HealthReport
from edge_res.sinks.jsonl import JsonLines
from edge_res.sinks.tee import Tee
from edge_res.sources import Source, Wanted, kind_of, open_source
from edge_res.sources.adapters import Loop, Paced, Picked, can_be_paced, can_loop, read_pick, said_once
from edge_res.sources.replay import open_session
from edge_res.taps import Taps, start_recording
from edge_res.telling import ended_by_signal, say

_AT_ONCE = 12  # hops that a recording is read in


@dataclass(frozen=True, kw_only=True)
class ListenOptions:
    """What was asked for on the command line."""

    sources: Sequence[str]
    model: str
    device: str | None
    engine: str | None
    mode: Literal["step", "window"] | None
    threads: int | None
    thresholds: Sequence[str]
    format: Literal["table", "jsonl"]
    scores: bool
    realtime: bool
    rate: int | None
    channels: int | None
    channel: str | None
    pcm_format: Literal["s16le", "f32le"] | None
    give_up_s: float | None
    health_file: Path | None
    record: Path | None
    record_frames: bool
    loop: bool


def listen(
    *,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            show_default="mic:",
            help="Sources to listen to, several at once. mic: is the default microphone, mic:WHICH another: a part of "
            "its name, its index, card, USB id or port. Recordings: FILE.wav, .flac, .ogg, .npy, .csv, .edgerec (a "
            "session), a FOLDER of them, demo:. Raw PCM on stdin: -. Sensors: serial:PATH?…, udp://:PORT?…, "
            "mqtt://BROKER/TOPIC?…, iio:DEVICE?…. More: docs/sources.md, docs/sensors.md.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="BUNDLE",
            autocompletion=complete_bundle,
            help="Bundle to listen with: a file, or a bundled model, `default` or `tiny`. A+B is an ensemble of both.",
        ),
    ] = "default",
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            rich_help_panel="Engine",
            help="Device file that sets engine, threads and cores: a name from `edgeres devices --known`, or a TOML "
            "file.",
        ),
    ] = None,
    engine: Engine = None,
    mode: Mode = None,
    threads: EngineThreads = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=VALUE", help="Threshold of a label, such as yes=0.9, or of all: *=0.8. Repeatable."
        ),
    ] = None,
    format: Annotated[
        Literal["table", "jsonl"], typer.Option(help="Format of the output: for people, or one JSON object a line.")
    ] = "table",
    scores: Annotated[bool, typer.Option("--scores", help="Print the scores of every hop as well.")] = False,
    realtime: Annotated[
        bool, typer.Option("--realtime", rich_help_panel="Source", help="Play recordings at their own pace.")
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="HZ", rich_help_panel="Source", help="Sample rate of raw PCM, arrays or a sensor, in Hz."
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel="Source",
            help="Number of channels of raw PCM, a microphone or a sensor.",
        ),
    ] = None,
    channel: Channel = None,
    pcm_format: PcmFormat = None,
    give_up: GiveUp = None,
    health_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            rich_help_panel="Files",
            help="File for the state, losses and level of each source, replaced every second.",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.edgerec",
            rich_help_panel="Files",
            help="File to record the session in: samples, gaps, health and answers.",
        ),
    ] = None,
    record_frames: Annotated[
        bool,
        typer.Option(
            "--record-frames",
            rich_help_panel="Files",
            help="Record the quantized frames as well, which replay exactly on any machine; requires --record.",
        ),
    ] = False,
    loop: Annotated[
        bool, typer.Option("--loop", rich_help_panel="Source", help="Repeat recordings until you stop it.")
    ] = False,
) -> None:
    """Listen to sources and print what is heard, until they end or you press Ctrl-C."""
    run(
        ListenOptions(
            sources=sources or ["mic:"],
            model=model,
            device=device,
            engine=engine,
            mode=mode,
            threads=threads,
            thresholds=threshold or [],
            format=format,
            scores=scores,
            realtime=realtime,
            rate=rate,
            channels=channels,
            channel=channel,
            pcm_format=pcm_format,
            give_up_s=give_up,
            health_file=health_file,
            record=record,
            record_frames=record_frames,
            loop=loop,
        )
    )


def run(options: ListenOptions) -> None:
    """Listen until the sources end or the user does."""
    if options.record_frames and options.record is None:
        raise ConfigError("--record-frames adds to a recording; say --record FILE.edgerec as well.")
    bundles = read_members(options.model)
    manifest = merged([bundle.manifest for bundle in bundles])
    decide = with_thresholds(manifest.decide, read_thresholds(options.thresholds))
    name = "generic" if options.device is None else options.device
    device, which = find_device(name)
    follow = options.device is None
    chosen = choose(bundles, device, follow, options.engine, options.mode, options.threads)
    for sentence in filter(None, (*left_out(member_names(name)), which, stay_on(device.affinity), *chosen.told)):
        say(sentence)
    models = [load_model(bundle, chosen.engine, chosen.mode, chosen.threads) for bundle in bundles]
    for bundle, model in zip(bundles, models, strict=True):
        prove(bundle, model)
    with ExitStack() as opening:  # what is open is closed where something else cannot be
        opened = open_sources(options, manifest, opening)
        sources = [adapted(source, options) for source in opened]
        recorder = None
        if options.record is not None:
            recorder = start_recording(options.record, sources, bundles, models[0], decide, options.record_frames)
        taps = Taps(bundles, decide, recorder, picked=options.channel is not None)
        streams = []
        for place, source in enumerate(opened):
            own = models if place == 0 else [model.fork() for model in models]
            streams.append(Stream(sources[place], chains_of(bundles, taps.around(own, source, place)), decide))
        closing = opening.pop_all()
    for sentence in taps.told:
        say(sentence)
    rate_hz = manifest.front_end.sample_rate_hz
    for source in sources:
        unit = f" ({source.unit})" if source.unit else ""
        resampled = f" resampled from {source.rate_hz} Hz" if source.rate_hz != rate_hz else ""
        say(
            f"listening to {source.name}{unit}{resampled} with {manifest.name}, int8 {models[0].mode} on "
            f"{models[0].runner.engine}, {chosen.threads} thread{'s' * (chosen.threads > 1)}"
        )
    sink = Tee([make_sink(options), HealthReport(options.health_file), *([recorder] if recorder else [])])
    try:
        with closing, ended_by_signal():
            for source in sources:
                source.__enter__()
            sink.start(sources, manifest)
            run_loop(streams, sink)
    except KeyboardInterrupt:
        pass
    finally:
        try:
            sink.finish()
        finally:
            for stream in streams:
                if stream.stats.audio_s or stream.stats.interruptions:
                    say(f"{stream.source.name + ', ' if len(streams) > 1 else ''}{stream.stats}")
    if not any(stream.stats.hops for stream in streams):
        window_s = manifest.front_end.samples_of(manifest.frames) / manifest.front_end.sample_rate_hz
        say(f"nothing could be decided: a decision looks at {window_s:.2f} s without a gap")
    for sentence in taps.findings():
        say(sentence)
    if recorder and recorder.writer.failure:
        raise OutputError(recorder.writer.failure)


def chains_of(bundles: Sequence[Bundle], models: Sequence[Model]) -> list[Chain]:
    return [Chain(bundle.manifest, model) for bundle, model in zip(bundles, models, strict=True)]


def open_sources(options: ListenOptions, manifest: Manifest, closing: ExitStack) -> list[Source]:
    """The sources that were named, each name once; opened, not started, and closed by `closing`."""
    refuse_twice(options.sources)
    want = wanted(options, manifest)
    sources: list[Source] = []
    if options.loop:
        closing.enter_context(said_once())
    for text in options.sources:
        if options.loop and not can_loop(text):
            raise ConfigError(f"--loop plays recordings again and again, and {masked(text)} is none; leave it out.")
        if options.realtime and not can_be_paced(text):
            raise ConfigError(f"--realtime plays recordings at their pace, and {masked(text)} is live; leave it out.")
        if kind_of(text) == SUFFIX:
            sources += open_session(text, want)  # leaves nothing open
        else:
            again = partial(open_source, text, want)
            source = Loop(again) if options.loop else again()
            closing.push(source)
            sources.append(source)
    refuse_twice([source.name for source in sources])
    return sources


def refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"The source {masked(name)} is named twice; name each once.")


def adapted(source: Source, options: ListenOptions) -> Source:
    """The channels that were asked for, at the pace that was asked for."""
    if options.channel is not None:
        source = Picked(source, read_pick(options.channel))
    return Paced(source) if options.realtime else source


def read_thresholds(texts: Sequence[str]) -> dict[str, float]:
    """LABEL=VALUE texts as a mapping."""
    found = {}
    for text in texts:
        label, equals, value = text.rpartition("=")
        try:
            found[label] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"The threshold {text!r} is not LABEL=VALUE, for example yes=0.8.")
    return found


def wanted(options: ListenOptions, manifest: Manifest) -> Wanted:
    """What the model and the user want of the source; a block is a hop, of a recording at full speed several."""
    params = manifest.front_end
    return Wanted(
        rate_hz=params.sample_rate_hz,
        channels=params.channels if options.channel is None else None,
        block_s=manifest.hop * params.hop_length / params.sample_rate_hz,
        given_rate_hz=options.rate,
        given_channels=options.channels,
        pcm_format=options.pcm_format,
        give_up_s=options.give_up_s,
        at_once=1 if options.realtime else _AT_ONCE,
    )


def make_sink(options: ListenOptions) -> Sink:
    if sys.stdout is None:
        raise OutputError("stdout is closed, and events are written there; give it a file or a pipe.")
    if options.format == "jsonl":
        return JsonLines(sys.stdout, options.scores)
    from rich.console import Console  # 3 MB that a service does not need

    from edge_res.sinks.table import Lines, LiveTable

    console = Console()
    if console.is_terminal and not options.scores:
        return LiveTable(console)
    return Lines(console, options.scores)
