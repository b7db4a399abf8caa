"""A sensor of Linux's industrial I/O (IIO).

Written by the kernel's documentation and tested on made-up trees of files: it has never run on a real device.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from edge_res.address import read_address
from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block, Health
from edge_res.sources import Wanted
from edge_res.sources.checks import check_channels, check_given_channels
from edge_res.sources.feed import BUFFER_S, Feed
from edge_res.sources.iio.rate import read_poll_rate, settle_rate
from edge_res.sources.iio.readers import BufferReader, PollReader, Reader
from edge_res.sources.iio.timeline import Timeline
from edge_res.sources.iio.tree import Channel, Device, channels_of, find_device, listed, pick_channels
from edge_res.sources.sensor import RateWatch, read_alarm, read_scale, scaled

EXAMPLE = "iio:bmi160?rate=100&only=accel"


@dataclass(frozen=True)
class Options:
    """What an address may say."""

    only: str | None = None
    rate: int | None = None
    trigger: str | None = None
    poll: bool = False
    unit: str | None = None
    scale: float = 1.0
    alarm: float | None = None


class Iio:
    """`iio:DEVICE?…`: a device by its index, name, label or path; see docs/reference/sources.md.

    Read through its buffer, which is set up for that and is ours alone, or without one by reading its values one by
    one. Samples are in the units of the kernel. What is lost is told by the times of the samples. A device that is gone
    is looked for, by the same name, until it is back. `root` is where /sys and /dev are.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = BUFFER_S, root: Path = Path("/")) -> None:
        self._target, self._options = read_address(text, Options, EXAMPLE)
        self._want, self._root = want, root
        self.name = text.partition("?")[0]
        if not self._target:
            raise ConfigError(f"{text} names no device; give one as in {EXAMPLE}.")
        self._scale = read_scale(self.name, self._options.scale)
        read_alarm(self.name, self._options.alarm, 1)
        device = find_device(self._target, root)
        self._scanned = not self._options.poll and _has_buffer(device)
        picked = self._pick(device)
        self.unit = self._options.unit or ", ".join(dict.fromkeys(channel.unit for channel in picked))
        self.rate_hz = self._settle_rate(device, picked)
        alarm_s = read_alarm(self.name, self._options.alarm, self.rate_hz)
        self._reader: Reader | None = self._open(device, picked)
        self.channels = self._reader.channels
        try:
            check_given_channels(self.name, self.channels, want.given_channels)
            check_channels(self.name, self.channels, want.channels, f"it has {listed(picked)}; pick some with only=")
        except BaseException:
            self._reader.close()
            raise
        if not self._scanned:
            logging.getLogger("edge_res").warning(
                "%s is read one by one, %d times a second: what lies between is not seen.", self.name, self.rate_hz
            )
        self._timeline = Timeline(self.rate_hz, alarm_s)
        self._watch = RateWatch(self.name, self.rate_hz, alarm_s, way_out="give the rate that it has with rate=")
        self._feed = Feed(self.name, self.rate_hz, self.channels, want, alarm_s, buffer_s)

    def __enter__(self) -> Iio:
        with suppress(OSError):  # if it is gone already, reading finds out
            assert self._reader
            self._reader.drop()  # what came while others got ready
        self._feed.start(lambda: self._feed.read_again_and_again(self._read, self._gone))
        return self

    def __exit__(self, *exception: object) -> None:
        self._feed.stop()
        self._close()

    def __iter__(self) -> Iterator[Block | Health]:
        return iter(self._feed)

    def _read(self) -> None:
        """In a thread of its own."""
        self._reader = self._reader or self._reopen()
        while not self._feed.stopping.is_set():
            samples, times = self._reader.read(self._feed.stopping)
            for lost, piece in self._timeline.push(samples, times, monotonic()):
                self._feed.put(scaled(piece, self._scale), lost)
                for sentence in self._watch.push(lost + len(piece)):
                    logging.getLogger("edge_res").warning("%s", sentence)

    def _gone(self) -> None:
        self._close()
        self._timeline.interrupted()

    def _reopen(self) -> Reader:
        device = find_device(self._target, self._root)
        picked = self._pick(device)
        rate_hz = self._settle_rate(device, picked, self.rate_hz)
        reader = self._open(device, picked)
        if (reader.channels, rate_hz) != (self.channels, self.rate_hz):
            reader.close()
            raise SourceError(
                f"{device} came back with {reader.channels} channels at {rate_hz} Hz, and had {self.channels} at "
                f"{self.rate_hz} Hz; start again."
            )
        return reader

    def _pick(self, device: Device) -> list[Channel]:
        channels = channels_of(device, self._scanned)
        if not channels:
            raise SourceError(f"{device} has no channel that can be read; see {device.folder}.")
        return pick_channels(str(device), channels, self._options.only)

    def _settle_rate(self, device: Device, picked: list[Channel], before_hz: int | None = None) -> int:
        asked_hz = before_hz or self._options.rate or self._want.given_rate_hz
        if not self._scanned:
            return read_poll_rate(self.name, asked_hz)
        return settle_rate(device, picked[0], asked_hz, self._want.rate_hz)

    def _open(self, device: Device, picked: list[Channel]) -> Reader:
        if self._scanned:
            return BufferReader(device, picked, self.rate_hz, self._options.trigger)
        return PollReader(device, picked, self.rate_hz)

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader:
            reader.close()


def _has_buffer(device: Device) -> bool:
    return (device.folder / "buffer/enable").exists() and device.node.exists() and bool(channels_of(device, True))
