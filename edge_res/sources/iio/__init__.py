"""A sensor of Linux's industrial I/O (IIO).

Written from the kernel's documentation and tested on simulated file trees: it has never run on a real device.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from edge_res.address import read_address
from edge_res.errors import ConfigError, SourceError
from edge_res.sources import Wanted
from edge_res.sources.checks import check_channels, check_given_channels
from edge_res.sources.feed import BUFFER_S
from edge_res.sources.iio.rate import read_poll_rate, settle_rate
from edge_res.sources.iio.readers import BufferReader, PollReader, Reader
from edge_res.sources.iio.timeline import Timeline
from edge_res.sources.iio.tree import Channel, Device, channels_of, find_device, listed, pick_channels
from edge_res.sources.sensor import Declared, Sensor, read_alarm, read_scale

EXAMPLE = "iio:bmi160?rate=100&only=accel"


@dataclass(frozen=True)
class Options:
    """The options of an address; channels, unit and rate are the device's own unless given."""

    only: str | None = None
    rate: int | None = None
    trigger: str | None = None
    poll: bool = False
    unit: str | None = None
    scale: float = 1.0
    alarm: float | None = None


class Iio(Sensor):
    """`iio:DEVICE?…`: a device by its index, name, label or path; see docs/reference/sources.md.

    It is read through its buffer, which is set up for this and belongs to this program until it closes, or, without
    one, by polling its values. Samples are in the kernel's units. Lost samples are found by the times of those that
    came. A device that disappears is searched for by the same name until it is back. `root` is where /sys and /dev are.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = BUFFER_S, root: Path = Path("/")) -> None:
        self._target, self._options = read_address(text, Options, EXAMPLE)
        self._want, self._root = want, root
        self.name = text.partition("?")[0]
        if not self._target:
            raise ConfigError(f"{text} names no device; give one as in {EXAMPLE}.")
        scale = read_scale(self.name, self._options.scale)
        alarm_s = read_alarm(self.name, self._options.alarm)
        device = find_device(self._target, root)
        self._scanned = not self._options.poll and _has_buffer(device)
        picked = self._pick(device)
        rate_hz = self._settle_rate(device, picked)
        self._reader: Reader | None = self._open(device, picked, rate_hz)
        channels = self._reader.channels
        try:
            check_given_channels(self.name, channels, want.given_channels)
            check_channels(self.name, channels, want.channels, f"it has {listed(picked)}; pick some with only=")
        except BaseException:
            self._close()
            raise
        if not self._scanned:
            logging.getLogger("edge_res").warning(
                "%s is polled %d times a second; changes in between are missed.", self.name, rate_hz
            )
        unit = self._options.unit or ", ".join(dict.fromkeys(channel.unit for channel in picked))
        declared = Declared(self.name, unit, channels, rate_hz, scale, alarm_s)
        super().__init__(declared, rate_hz, want, buffer_s, fix_rate="give the actual rate with rate=")
        self._timeline = Timeline(rate_hz, self.alarm_s)

    def _receive(self) -> None:
        self._feed.read_again_and_again(self._read, self._gone)

    def _read(self) -> None:
        self._reader = self._reader or self._reopen()
        while not self._feed.stopping.is_set():
            samples, times = self._reader.read(self._feed.stopping)
            self._put(self._timeline.push(samples, times, monotonic()))

    def _gone(self) -> None:
        self._close()
        self._timeline.interrupted()

    def _reopen(self) -> Reader:
        device = find_device(self._target, self._root)
        picked = self._pick(device)
        rate_hz = self._settle_rate(device, picked, self.rate_hz)
        reader = self._open(device, picked, rate_hz)
        if (reader.channels, rate_hz) != (self.channels, self.rate_hz):
            reader.close()
            raise SourceError(
                f"{device} came back with {reader.channels} channels at {rate_hz} Hz instead of {self.channels} at "
                f"{self.rate_hz} Hz; start again."
            )
        return reader

    def _pick(self, device: Device) -> list[Channel]:
        channels = channels_of(device, self._scanned)
        if not channels:
            raise SourceError(f"{device} has no readable channel; see {device.folder}.")
        return pick_channels(str(device), channels, self._options.only)

    def _settle_rate(self, device: Device, picked: list[Channel], before_hz: int | None = None) -> int:
        asked_hz = before_hz or self._options.rate or self._want.given_rate_hz
        if not self._scanned:
            return read_poll_rate(self.name, asked_hz)
        return settle_rate(device, picked[0], asked_hz, self._want.rate_hz)

    def _open(self, device: Device, picked: list[Channel], rate_hz: int) -> Reader:
        if self._scanned:
            return BufferReader(device, picked, rate_hz, self._options.trigger)
        return PollReader(device, picked, rate_hz)

    def _discard(self) -> None:
        assert self._reader
        self._reader.drop()

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader:
            reader.close()


def _has_buffer(device: Device) -> bool:
    return (device.folder / "buffer/enable").exists() and device.node.exists() and bool(channels_of(device, True))
