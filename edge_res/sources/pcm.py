"""Raw PCM on stdin, as `arecord -t raw`, `sox` and `ffmpeg` write it."""

from __future__ import annotations

import io
import logging
import os
import select
from collections.abc import Iterator
from typing import Any

import numpy as np

from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block
from edge_res.sources import Wanted
from edge_res.sources.checks import check_any, check_channels, check_finite

CONTAINERS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "OGG"}
DTYPES: dict[str, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}


class RawPcm:
    """`-`, interleaved samples without a header; s16le is scaled to ±1.

    The rate and the channels are the user's, or else the model's. What has arrived is delivered at once, up to a block,
    as a view of one buffer. Bytes of an incomplete sample at the end are ignored, with a warning.
    """

    def __init__(self, text: str, want: Wanted, fd: int = 0) -> None:
        pcm_format = want.pcm_format or "s16le"
        if pcm_format not in DTYPES:
            raise ConfigError(f"There is no PCM format {pcm_format!r}; known are {', '.join(DTYPES)}.")
        self.name = text
        self.unit = ""
        self.rate_hz = want.given_rate_hz or want.rate_hz
        self.channels = want.given_channels or want.channels
        convert = f"convert it before, for example with `sox ... -c {want.channels} -t raw -`"
        check_channels("stdin", self.channels, want.channels, convert)
        self._dtype = DTYPES[pcm_format]
        self._most = want.block_length(self.rate_hz)
        try:
            self._input = io.FileIO(fd, closefd=False)
        except OSError as error:
            raise SourceError(f"stdin cannot be read: {error.strerror}.") from None
        if os.isatty(fd):
            raise ConfigError(
                "- reads raw PCM and stdin is a terminal; pipe samples into it, as `arecord` writes them."
            )

    def __enter__(self) -> RawPcm:
        return self

    def __exit__(self, *exception: object) -> None:
        self._input.close()

    def __iter__(self) -> Iterator[Block]:
        sample_bytes = self._dtype.itemsize * self.channels
        arrived = bytearray(self._most * sample_bytes)
        coded = np.frombuffer(arrived, self._dtype).reshape(-1, self.channels)
        samples = np.empty(coded.shape, np.float32)
        scale = np.float32(1 / 32768 if self._dtype.kind == "i" else 1)
        at = held = 0
        while n := self._read(memoryview(arrived)[held:]):
            if not at and bytes(arrived[:4]) in CONTAINERS:
                raise SourceError(
                    f"stdin begins as a {CONTAINERS[bytes(arrived[:4])]} file, and - reads raw samples; write those "
                    "(`arecord -t raw`, `sox … -t raw -`), or give the file by its name."
                )
            whole, rest = divmod(held + n, sample_bytes)
            if whole:
                np.multiply(coded[:whole], scale, out=samples[:whole])
                arrived[:rest] = arrived[whole * sample_bytes : whole * sample_bytes + rest]
                check_finite("stdin", samples[:whole], at, self.rate_hz)
                yield Block(self.name, at, samples[:whole])
                at += whole
            held = rest
        check_any("stdin", at)
        if held:
            logging.getLogger("edge_res").warning(
                "stdin ended inside a sample: the last %d of its %d bytes are ignored.", held, sample_bytes
            )

    def _read(self, into: memoryview) -> int:
        """Wait for some bytes and return how many came, 0 at the end."""
        try:
            while (n := self._input.readinto(into)) is None:  # somebody made stdin non-blocking
                select.select([self._input], [], [])
        except OSError as error:
            raise SourceError(f"stdin cannot be read any more: {error.strerror}.") from None
        return n
