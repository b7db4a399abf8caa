"""Sources of blocks, selected by scheme or file suffix.

A source is opened by its constructor, as a file is by `open`, so that its rate and channels are known and mistakes are
reported at once. Entering it starts it, leaving it closes it.

Live sources: `mic/`, `serial_line/`, `udp/`, `mqtt/`, `iio/` and `pcm`, stdin. Recordings: `files` (with `containers`),
`arrays`, `playlist`, `replay` (of a session) and `demo`. `adapters` change any of them: some channels, a recording's
own pace, a recording repeated. `merging` makes several into one.

Live sources share `watchdog`, the states, and `clock`, the time of capture; sensors share `sensor`, `framing`,
`reorder` and `sequence`, which find what is missing, and `feed`, which passes samples from their thread to the loop.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from edge_res.address import masked
from edge_res.errors import ConfigError
from edge_res.flow import Block, Health

TICK_S = 0.25  # a live source that waits for samples yields an empty block as often: the loop is never stuck in it

SOURCES = {  # scheme or suffix: module:Class
    "mic:": "edge_res.sources.mic:Microphone",
    "serial:": "edge_res.sources.serial_line:SerialLine",
    "udp:": "edge_res.sources.udp:Udp",
    "mqtt:": "edge_res.sources.mqtt:Mqtt",
    "mqtts:": "edge_res.sources.mqtt:Mqtt",
    "iio:": "edge_res.sources.iio:Iio",
    "-": "edge_res.sources.pcm:RawPcm",
    "demo:": "edge_res.sources.demo:Demo",
    ".wav": "edge_res.sources.files:AudioFile",
    ".flac": "edge_res.sources.files:AudioFile",
    ".ogg": "edge_res.sources.files:AudioFile",
    ".npy": "edge_res.sources.arrays:NumpyFile",
    ".csv": "edge_res.sources.arrays:CsvFile",
    ".edgerec": "edge_res.sources.replay:Replayed",
    "FOLDER": "edge_res.sources.playlist:Playlist",
}


@dataclass(frozen=True)
class Wanted:
    """What the model and the command line ask of a source.

    `rate_hz` and `channels` are the model's, `block_s` is the preferred length of a block, about one hop; a recording,
    which nobody waits for, gives `at_once` of them as one. Where `channels` is None, the source gives all it has:
    somebody behind it picks or mixes.
    `given_rate_hz`, `given_channels` and `pcm_format` ("s16le", the default, or "f32le") are the user's word on samples
    that do not say it themselves. A live source that is lost tries to come back for `give_up_s`; None: for ever.
    """

    rate_hz: int
    channels: int | None
    block_s: float
    given_rate_hz: int | None = None
    given_channels: int | None = None
    pcm_format: str | None = None
    give_up_s: float | None = None
    at_once: int = 1

    def block_length(self, rate_hz: int) -> int:
        """Samples of a block of `block_s` at `rate_hz`, at least 1."""
        return max(1, round(self.block_s * rate_hz))

    def recording_length(self, rate_hz: int) -> int:
        """Samples of a block of a recording."""
        return self.at_once * self.block_length(rate_hz)


class Source(Protocol):
    """Delivers blocks: float32 `(samples, channels)` at positions of the source's own rate.

    `name` tags its events; `unit` is that of its samples, "g" or "V", "raw" where nobody said it, and "" of audio, of
    which full scale is ±1. Iteration waits for data and ends with the source. What a source loses it tells as `lost` of
    the next block; if that happens at the very end, of a last block of 0 samples. A live source yields at least every
    `TICK_S`, an empty block where nothing has come, and a `Health` when its state changes; it raises a `SourceError`
    only when it gives up.
    """

    name: str
    rate_hz: int
    channels: int
    unit: str

    def __enter__(self) -> Source: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def __iter__(self) -> Iterator[Block | Health]: ...


class SourceClass(Protocol):
    """How a source is made, from what the user wrote and what is wanted of it."""

    def __call__(self, text: str, want: Wanted, /) -> Source: ...


def refuse_pcm_format(text: str, want: Wanted) -> None:
    """Raise a `ConfigError` if a sample format is given for a source that states its own."""
    if want.pcm_format is not None and text != "-":
        raise ConfigError(
            f"--pcm-format is for raw PCM on stdin, the source -, and this is {masked(text)}; leave it out."
        )


def open_source(text: str, want: Wanted) -> Source:
    """The source that `text` names: a scheme, or a file by its suffix, in upper or lower case.

    Raises `ConfigError` for an unknown kind, and what the source itself raises.
    """
    kind = kind_of(text)
    refuse_pcm_format(text, want)
    module, _, name = SOURCES[kind].partition(":")
    source_class: SourceClass = getattr(importlib.import_module(module), name)
    return source_class(text, want)


def kind_of(text: str) -> str:
    """Which of `SOURCES` that is."""
    scheme, colon, _ = text.partition(":")
    if scheme + colon in SOURCES and (colon or text == "-"):
        return scheme + colon
    kind = "FOLDER" if text and os.path.isdir(text) else Path(text).suffix.lower()  # noqa: PTH112 (a NUL in it)
    if kind not in SOURCES:
        raise ConfigError(f"There is no kind of source for {masked(text)!r}; use one of {', '.join(SOURCES)}.")
    return kind
