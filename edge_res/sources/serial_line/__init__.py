"""A sensor on a serial line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from edge_res.address import read_address
from edge_res.errors import ConfigError
from edge_res.sources import Wanted
from edge_res.sources.feed import BUFFER_S
from edge_res.sources.sensor import FIRST_S, GUESS_HZ, Declared, Sensor, SensorOptions, read_declared, settle_rate
from edge_res.sources.serial_line.formats import FORMATS
from edge_res.sources.serial_line.port import SerialPort

EXAMPLE = "serial:/dev/ttyUSB0?rate=1000&channels=3"
_GATHER_S = 0.005  # between two reads: fewer, larger pieces; the kernel's 4 kB hold it up to 800 kB/s


@dataclass(frozen=True)
class Options(SensorOptions):
    """The options of an address."""

    baud: int = 115200
    format: str = "csv"


class SerialLine(Sensor):
    """`serial:PATH?rate=…`: lines of numbers, or binary frames, of 1 to 8 channels; see docs/reference/sources.md.

    The port is opened exclusively. A device that disappears is opened again as soon as its path is back, for up to
    `want.give_up_s`. Lost samples are counted by the frames' sequence numbers or by the bad lines, and over an outage
    by the clock.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = BUFFER_S) -> None:
        self._path, options = read_address(text, Options, EXAMPLE)
        name = text.partition("?")[0]
        if not self._path:
            raise ConfigError(f"{text} names no device; give one as in {EXAMPLE}.")
        if options.format not in FORMATS:
            raise ConfigError(f"{name} says format={options.format}; expected {' or '.join(FORMATS)}.")
        if options.baud < 1:
            raise ConfigError(f"{name} says baud={options.baud}; try 9600, 115200, 921600 or 1000000.")
        declared = read_declared(name, options, want, EXAMPLE)
        self._baud = options.baud
        self._port: SerialPort | None = SerialPort(self._path, self._baud)
        try:
            rate_hz = declared.rate_hz or _measure(declared, self._port, options.format)
        except BaseException:
            self._close()
            raise
        super().__init__(declared, rate_hz, want, buffer_s)
        self._format = FORMATS[options.format](name, self.channels, rate_hz, self.alarm_s)

    def _receive(self) -> None:
        self._feed.read_again_and_again(self._read, self._gone)

    def _read(self) -> None:
        self._port = self._port or SerialPort(self._path, self._baud)
        while not self._feed.stopping.is_set():
            data = self._port.read()
            if data:
                self._put(self._format.push(data, monotonic()))
            self._feed.stopping.wait(_GATHER_S)

    def _gone(self) -> None:
        self._close()
        self._format.reset()

    def _discard(self) -> None:
        assert self._port
        self._port.drop_input()

    def _close(self) -> None:
        port, self._port = self._port, None
        if port:
            with suppress(OSError):
                port.close()


def _measure(declared: Declared, port: SerialPort, format_name: str) -> int:
    decoder = FORMATS[format_name](declared.name, declared.channels, GUESS_HZ, FIRST_S)
    port.drop_input()
    return settle_rate(declared.name, lambda: decoder.push(port.read(), monotonic()), "check baud= and format=")
