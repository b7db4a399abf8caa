"""`edgeres listen`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_res.commands.options import (
    Channel,
    Engine,
    EngineThreads,
    GiveUp,
    Mode,
    PcmFormat,
    complete_bundle,
)
from edge_res.errors import ConfigError, OutputError
from edge_res.telling import ended_by_signal, say

if TYPE_CHECKING:
    from edge_res.sinks import Sink


def listen(
    *,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            show_default="mic:",
            help="Sources to listen to, all at once.\n\n"
            "Microphones: mic: is the default one; mic:WHICH is another one, by part of its name, its index, card id, "
            "USB id or USB port.\n\n"
            "Recordings: FILE.wav, .flac, .ogg, .npy or .csv, FILE.edgerec (a session), FOLDER, demo: (bundled).\n\n"
            "Sensors: serial:PATH?…, udp://:PORT?…, mqtt://BROKER/TOPIC?…, iio:DEVICE?….\n\n"
            "Raw PCM on stdin: -.\n\n"
            "Details: docs/reference/sources.md.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="BUNDLE",
            autocompletion=complete_bundle,
            help="Model to listen with: a bundle file, or `default` or `tiny`. A+B is an ensemble of A and B.",
        ),
    ] = "default",
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            rich_help_panel="Engine",
            help="Device file that sets engine, threads and cores: its name in `edgeres devices --known`, or its path.",
        ),
    ] = None,
    engine: Engine = None,
    mode: Mode = None,
    threads: EngineThreads = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=VALUE",
            help="Score at which a label switches on, such as yes=0.9; *=0.8 sets all others. Repeatable.",
        ),
    ] = None,
    format: Annotated[
        Literal["table", "jsonl"],
        typer.Option(help="Format of what is printed: a `table`, or `jsonl`, one JSON object per line."),
    ] = "table",
    scores: Annotated[bool, typer.Option("--scores", help="Print the scores of every hop, too.")] = False,
    realtime: Annotated[
        bool,
        typer.Option(
            "--realtime",
            rich_help_panel="Source",
            help="Play recordings at their own pace instead of as fast as possible.",
        ),
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="HZ",
            rich_help_panel="Source",
            help="Sample rate of raw PCM, an array file or a sensor, in Hz.",
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
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel="Outputs",
            help="Additional output for events, such as jsonl:events.jsonl, which appends to a file. Repeatable.",
        ),
    ] = None,
    health_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            rich_help_panel="Outputs",
            help="File for the state, losses and level of each source, replaced every second.",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.edgerec",
            rich_help_panel="Outputs",
            help="File to record a session in: samples, gaps, source states and answers.",
        ),
    ] = None,
    record_frames: Annotated[
        bool,
        typer.Option(
            "--record-frames",
            rich_help_panel="Outputs",
            help="Record the quantized frames, too, so that a replay is exact on any machine; requires --record.",
        ),
    ] = False,
    loop: Annotated[
        bool, typer.Option("--loop", rich_help_panel="Source", help="Repeat recordings until you press Ctrl-C.")
    ] = False,
) -> None:
    """Listen to sources and print what is recognised, until they end or you press Ctrl-C."""
    from edge_res.listener import Listener

    listener = Listener(
        *(sources or ["mic:"]),
        model=model,
        engine=engine,
        mode=mode,
        threads=threads,
        device=device,
        thresholds=read_thresholds(threshold or []),
        channel=channel,
        rate_hz=rate,
        channels=channels,
        pcm_format=pcm_format,
        give_up_s=give_up,
        realtime=realtime,
        loop=loop,
        record=record,
        record_frames=record_frames,
        health_file=health_file,
        to=to or [],
        sinks=[printer(format, scores)],
    )
    try:
        with ended_by_signal():
            listener.run()
    except KeyboardInterrupt:
        pass
    finally:
        for sentence in listener.summary():
            say(sentence)
    for sentence in listener.findings():
        say(sentence)
    listener.check()


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


def printer(format: str, scores: bool) -> Sink:
    """What prints on stdout: JSON lines, or for people a live table on a terminal and lines in a pipe."""
    if sys.stdout is None:
        raise OutputError("stdout is closed, and events are written there; give it a file or a pipe.")
    if format == "jsonl":
        from edge_res.sinks.jsonl import JsonLines

        return JsonLines(sys.stdout, scores)
    from rich.console import Console  # 3 MB that a service does not need

    from edge_res.sinks.table import Lines, LiveTable

    console = Console()
    if console.is_terminal and not scores:
        return LiveTable(console)
    return Lines(console, scores)
