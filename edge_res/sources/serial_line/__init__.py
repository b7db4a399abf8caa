"""A sensor on a serial line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from edge_res.address import read_address
from edge_res.errors import ConfigError
from edge_res.flow import Block, Health
from edge_res.sources import Wanted
from edge_res.sources.feed import BUFFER_S, Feed
from edge_res.sources.sensor import (
    FIRST_S,
    GUESS_HZ,
    RAW,
    RateWatch,
    measure_rate,
    read_alarm,
    read_channels,
    read_rate,
    read_scale,
    read_unit,
    scaled,
    take_rate,
)
from edge_res.sources.serial_line.formats import FORMATS
from edge_res.sources.serial_line.port import SerialPort

EXAMPLE = "serial:/dev/ttyUSB0?rate=1000&channels=3"
_GATHER_S = 0.005  # between two reads: fewer, larger pieces; the kernel's 4 kB hold it up to 800 kB/s


@dataclass(frozen=True)
class Options:
    """What an address may say."""

    baud: int = 115200
    format: str = "csv"
    channels: int | None = None
    rate: str | None = None
    unit: str = RAW
    scale: float = 1.0
    alarm: float | None = None


class SerialLine:
    """`serial:PATH?rate=…`: lines of numbers, or binary frames, of 1 to 8 channels; see docs/reference/sources.md.

    Opened for us alone. A device that is gone is opened again as soon as its path is back, for `want.give_up_s`. What
    is lost is counted by the frames' sequence numbers or the bad lines, and over an outage by the clock.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = BUFFER_S) -> None:
        self._path, options = read_address(text, Options, EXAMPLE)
        self.name = text.partition("?")[0]
        self.unit = read_unit(options.unit)
        if not self._path:
            raise ConfigError(f"{text} names no device; give one as in {EXAMPLE}.")
        if options.format not in FORMATS:
            raise ConfigError(f"{self.name} says format={options.format}; known are {', '.join(FORMATS)}.")
        if options.baud < 1:
            raise ConfigError(f"{self.name} says baud={options.baud}; usual are 9600, 115200, 921600 and 1000000.")
        self.channels = read_channels(self.name, options.channels, want, EXAMPLE)
        self._scale = read_scale(self.name, options.scale)
        self._baud = options.baud
        declared_hz = read_rate(self.name, options.rate, want, EXAMPLE)
        read_alarm(self.name, options.alarm, 1)
        self._port: SerialPort | None = SerialPort(self._path, self._baud)
        try:
            self.rate_hz = declared_hz or self._measure(options.format)
        except BaseException:
            self._port.close()
            raise
        alarm_s = read_alarm(self.name, options.alarm, self.rate_hz)
        self._format = FORMATS[options.format](self.name, self.channels, self.rate_hz, alarm_s)
        self._watch = RateWatch(self.name, self.rate_hz, alarm_s)
        self._feed = Feed(self.name, self.rate_hz, self.channels, want, alarm_s, buffer_s)

    def __enter__(self) -> SerialLine:
        with suppress(OSError):  # if it is gone already, reading finds out
            assert self._port
            self._port.drop_input()  # what came while others got ready
        self._feed.start(lambda: self._feed.read_again_and_again(self._read, self._gone))
        return self

    def __exit__(self, *exception: object) -> None:
        self._feed.stop()
        self._close()

    def __iter__(self) -> Iterator[Block | Health]:
        return iter(self._feed)

    def _read(self) -> None:
        """In a thread of its own."""
        self._port = self._port or SerialPort(self._path, self._baud)
        while not self._feed.stopping.is_set():
            data = self._port.read()
            for lost, samples in self._format.push(data, monotonic()) if data else ():
                self._feed.put(scaled(samples, self._scale), lost)
                for sentence in self._watch.push(lost + len(samples)):
                    logging.getLogger("edge_res").warning("%s", sentence)
            self._feed.stopping.wait(_GATHER_S)

    def _gone(self) -> None:
        self._close()
        self._format.reset()

    def _measure(self, name: str) -> int:
        assert self._port
        self._port.drop_input()
        measured_hz = measure_rate(self._arrivals(name, self._port))
        return take_rate(self.name, measured_hz, "check baud= and format=")

    def _arrivals(self, name: str, port: SerialPort) -> Iterator[tuple[float, int]]:
        """When samples come, and how many; ends when none has come for long."""
        format_ = FORMATS[name](self.name, self.channels, GUESS_HZ, FIRST_S)
        last_s = monotonic()
        while monotonic() - last_s < FIRST_S:
            for lost, samples in format_.push(port.read(), monotonic()):
                last_s = monotonic()
                yield last_s, lost + len(samples)

    def _close(self) -> None:
        port, self._port = self._port, None
        if port:
            with suppress(OSError):
                port.close()
