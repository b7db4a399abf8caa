"""Sources of blocks, selected by scheme or file suffix.

A source is opened by its constructor, as a file is by `open`, so that its rate and channels are known and mistakes are
told at once. Entering it starts it, leaving it closes it.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block

SOURCES = {  # scheme or suffix: module:Class
    "mic:": "edge_res.sources.mic:Microphone",
    "-": "edge_res.sources.pcm:RawPcm",
    "demo:": "edge_res.sources.demo:Demo",
    ".wav": "edge_res.sources.files:AudioFile",
    ".flac": "edge_res.sources.files:AudioFile",
    ".ogg": "edge_res.sources.files:AudioFile",
    ".npy": "edge_res.sources.arrays:NumpyFile",
    ".csv": "edge_res.sources.arrays:CsvFile",
}


@dataclass(frozen=True)
class Wanted:
    """What the model and the command line ask of a source.

    `rate_hz` and `channels` are the model's, `block_s` is the preferred length of a block, about one hop.
    `given_rate_hz`, `given_channels` and `pcm_format` ("s16le", the default, or "f32le") are the user's word on samples
    that do not say it themselves.
    """

    rate_hz: int
    channels: int
    block_s: float
    given_rate_hz: int | None = None
    given_channels: int | None = None
    pcm_format: str | None = None

    def block_length(self, rate_hz: int) -> int:
        """Samples of a block of `block_s` at `rate_hz`, at least 1."""
        return max(1, round(self.block_s * rate_hz))


class Source(Protocol):
    """Delivers blocks: float32 `(samples, channels)` at positions of the source's own rate.

    `name` tags its events. Iteration waits for data and ends with the source. What a source loses it tells as `lost`
    of the next block; if that happens at the very end, of a last block of 0 samples.
    """

    name: str
    rate_hz: int
    channels: int

    def __enter__(self) -> Source: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
    def __iter__(self) -> Iterator[Block]: ...


class SourceClass(Protocol):
    """How a source is made, from what the user wrote and what is wanted of it."""

    def __call__(self, text: str, want: Wanted, /) -> Source: ...


def open_source(text: str, want: Wanted) -> Source:
    """The source that `text` names: a scheme, or a file by its suffix, in upper or lower case.

    Raises `ConfigError` for an unknown kind, and what the source itself raises.
    """
    scheme, colon, _ = text.partition(":")
    kind = scheme + colon if scheme + colon in SOURCES else Path(text).suffix.lower()
    if kind not in SOURCES:
        if text and Path(text).is_dir():
            raise SourceError(f"{text} is a directory; give one file of it.")
        raise ConfigError(f"There is no kind of source for {text!r}; known are {', '.join(SOURCES)}.")
    if want.pcm_format is not None and kind != "-":
        raise ConfigError(f"--pcm-format is for raw PCM on stdin, the source -, and this is {text}; leave it out.")
    module, _, name = SOURCES[kind].partition(":")
    source_class: SourceClass = getattr(importlib.import_module(module), name)
    return source_class(text, want)


class Paced:
    """Plays another source, such as a file, at its own pace: a block comes when its last sample would have been heard.

    Each block is due at a time counted from the start, so errors do not add up; a consumer that was late catches up.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.rate_hz = source.rate_hz
        self.channels = source.channels
        self._source = source

    def __enter__(self) -> Paced:
        self._source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Block]:
        started_s = time.monotonic()
        for block in self._source:
            due_s = started_s + (block.at + len(block.samples)) / self.rate_hz
            time.sleep(max(0.0, due_s - time.monotonic()))
            yield block
