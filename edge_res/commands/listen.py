"""`edgeres listen`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_res.errors import ConfigError, OutputError
from edge_res.listener import Listener
from edge_res.sinks import Sink
from edge_res.sinks.jsonl import JsonLines
from edge_res.telling import ended_by_signal, say

_AT_ONCE = 12  # hops that a recording is read in


@dataclass(frozen=True)
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


def run(options: ListenOptions) -> None:
    """Listen until the sources end or the user does."""
    listener = Listener(
        *options.sources,
        model=options.model,
        engine=options.engine,
        mode=options.mode,
        threads=options.threads,
        device=options.device,
        thresholds=read_thresholds(options.thresholds),
        channel=options.channel,
        rate_hz=options.rate,
        channels=options.channels,
        pcm_format=options.pcm_format,
        give_up_s=options.give_up_s,
        realtime=options.realtime,
        loop=options.loop,
        record=options.record,
        record_frames=options.record_frames,
        health_file=options.health_file,
        sinks=[make_sink(options)],
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
