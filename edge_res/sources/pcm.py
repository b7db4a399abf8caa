"""Raw PCM on stdin, as `arecord -t raw`, `sox` and `ffmpeg` write it."""

from __future__ import annotations

import io
import logging
import os
import select
import sys
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import numpy as np

from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block, Health
from edge_res.sources import TICK_S, Wanted
from edge_res.sources.checks import check_any, check_channels, check_finite
from edge_res.sources.clock import CaptureClock
from edge_res.sources.sensor import RateWatch
from edge_res.sources.watchdog import Watchdog

ALARM_S = 2.0  # without a byte
_PAUSE_S = 1.0  # without one: then its rate is not judged
_TOLERANCE = 0.05  # a player keeps time less well than a clock
_LIVE = 0.5  # of its own length that a live pipe takes at least: a file comes at once, and its times are unknown
_JUDGED_S = 2.0  # over which a reader mostly waits, or does not
CONTAINERS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "OGG"}
DTYPES: dict[str, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}


class RawPcm:
    """`-`, interleaved samples without a header; s16le is scaled to ±1.

    The rate and the channels are the user's, or else the model's. What has arrived is delivered at once, up to a block,
    as a view of one buffer. Bytes of an incomplete sample at the end are ignored, with a warning. A pipe into which
    nothing comes for `ALARM_S` is alarmed; one that comes steadily at another rate than it should is warned about once.
    """

    def __init__(self, text: str, want: Wanted, fd: int = 0) -> None:
        pcm_format = want.pcm_format or "s16le"
        if pcm_format not in DTYPES:
            raise ConfigError(f"There is no PCM format {pcm_format!r}; use one of {', '.join(DTYPES)}.")
        self.name = text
        self.unit = ""
        self.rate_hz = want.given_rate_hz or want.rate_hz
        self.channels = _channels(want)
        convert = f"convert it before, for example with `sox ... -c {want.channels} -t raw -`"
        check_channels("stdin", self.channels, want.channels, convert)
        self._dtype = DTYPES[pcm_format]
        self._give_up_s = want.give_up_s
        self._most = want.block_length(self.rate_hz)
        if fd == 0 and sys.stdin is None:  # another file may be file descriptor 0 by now
            raise SourceError("stdin is closed; pipe samples into it, as `arecord` writes them.")
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

    def __iter__(self) -> Iterator[Block | Health]:
        sample_bytes = self._dtype.itemsize * self.channels
        arrived = bytearray(self._most * sample_bytes)
        coded = np.frombuffer(arrived, self._dtype).reshape(-1, self.channels)
        samples = np.empty(coded.shape, np.float32)
        scale = np.float32(1 / 32768 if self._dtype.kind == "i" else 1)
        dog, pace = Watchdog(self.name, ALARM_S, self._give_up_s), LivePace(self.rate_hz)
        clock, began_s = CaptureClock(self.rate_hz), monotonic()
        at = held = 0
        while True:
            pace.waits()
            if (n := self._read(memoryview(arrived)[held:])) is None:
                if dog.given_up:
                    raise SourceError(
                        f"stdin has delivered no sample for {dog.starved_s:.1f} s and is given up: see what writes it."
                    )
                yield from dog.waited(at / self.rate_hz)
                yield Block(self.name, at, samples[:0])
                continue
            if n == 0:
                break
            if not at and bytes(arrived[:4]) in CONTAINERS:
                raise SourceError(
                    f"stdin begins as a {CONTAINERS[bytes(arrived[:4])]} file, and - reads raw samples; write those "
                    "(`arecord -t raw`, `sox … -t raw -`), or give the file by its name."
                )
            whole, rest = divmod(held + n, sample_bytes)
            for warning in pace.read(whole):
                logging.getLogger("edge_res").warning("%s", warning)
            if whole:
                yield from dog.fed(at / self.rate_hz)
                np.multiply(coded[:whole], scale, out=samples[:whole])
                arrived[:rest] = arrived[whole * sample_bytes : whole * sample_bytes + rest]
                check_finite("stdin", samples[:whole], at, self.rate_hz)
                clock.came(at + whole)
                live = monotonic() - began_s >= _LIVE * at / self.rate_hz
                yield Block(self.name, at, samples[:whole], time_us=clock.time_us(at) if live else None)
                at += whole
            held = rest
        check_any("stdin", at)
        if held:
            logging.getLogger("edge_res").warning(
                "stdin ended inside a sample: the last %d of its %d bytes are ignored.", held, sample_bytes
            )

    def _read(self, into: memoryview) -> int | None:
        """How many bytes came, 0 at the end, None where none came in time."""
        try:
            if not select.select([self._input], [], [], TICK_S)[0]:
                return None
            return self._input.readinto(into)
        except OSError as error:
            raise SourceError(f"stdin cannot be read any more: {error.strerror}.") from None


class LivePace:
    """Says once at which pace a live pipe delivers, where that is not its rate.

    A pipe is live where its reader mostly waits: a file comes as fast as it is read, and its rate cannot be judged.
    """

    def __init__(self, rate_hz: int, clock: Callable[[], float] = monotonic) -> None:
        self._rate_hz = rate_hz
        self._clock = clock
        self._watch = self._new_watch()
        self._began_s = self._asked_s = clock()
        self._waited_s = 0.0

    def waits(self) -> None:
        """The reader begins to wait."""
        self._asked_s = self._clock()

    def read(self, count: int) -> Iterator[str]:
        """It need not wait any more: `count` samples have come."""
        now_s = self._clock()
        self._waited_s += now_s - self._asked_s
        if now_s - self._began_s >= _JUDGED_S:
            if self._waited_s < (now_s - self._began_s) / 2:
                self._watch = self._new_watch()
            self._began_s, self._waited_s = now_s, 0.0
        yield from self._watch.push(count)

    def _new_watch(self) -> RateWatch:
        return RateWatch("stdin", self._rate_hz, _PAUSE_S, self._clock, "give the true one with --rate", _TOLERANCE)


def _channels(want: Wanted) -> int:
    if (found := want.given_channels or want.channels) is None:
        raise ConfigError("Raw PCM on stdin does not state its number of channels; give them with --channels.")
    return found
