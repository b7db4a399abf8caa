"""What sensors have in common: their declared samples, a rate that is measured and watched, and a receiving thread.

Samples on a serial line, in datagrams or in messages carry no rate, unit or scale: the address declares them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

import numpy as np

from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Block, Health, Samples
from edge_res.sources import Wanted
from edge_res.sources.checks import check_channels
from edge_res.sources.feed import BUFFER_S, Feed
from edge_res.sources.framing import MOST_CHANNELS

RAW = "raw"  # the unit if none is declared
GUESS_HZ = 1000  # the rate assumed while it is measured
FIRST_S = 10.0  # longest wait for samples then: boards take a while to start
_MEASURED_S = 2.0
_WATCHED_S = 5.0
_TOLERANCE = 0.02
_SAME = 0.01  # how far a measured rate may be from the common one that it stands for
_ALARM_S = 1.0
_ALARM_SAMPLES = 5  # that many must be overdue before that is an alarm, however slow the sensor
# Round ones, and output data rates of common inertial and audio chips.
_COMMON_HZ = (
    1, 2, 5, 10, 12, 20, 25, 26, 50, 52, 60, 100, 104, 119, 125, 200, 208, 238, 250, 256, 400, 416, 476, 500, 512, 800,
    833, 952, 1000, 1024, 1600, 1660, 2000, 2048, 2500, 3200, 3330, 4000, 4096, 5000, 6400, 6660, 8000, 10000, 11025,
    12000, 12800, 16000, 20000, 22050, 24000, 25600, 26667, 32000, 44100, 48000, 96000,
)  # fmt: skip

Pieces = Iterable[tuple[int, Samples]]  # samples lost, and float32 `(n, channels)` that follow them

AnySensor = TypeVar("AnySensor", bound="Sensor")


@dataclass(frozen=True)
class SensorOptions:
    """The options that the addresses of sensors share."""

    channels: int | None = None
    rate: str | None = None
    unit: str = RAW
    scale: float = 1.0
    alarm: float | None = None


@dataclass(frozen=True)
class Declared:
    """What is known of a sensor's samples before the first one; `rate_hz` None: the rate is to be measured."""

    name: str
    unit: str
    channels: int
    rate_hz: int | None
    scale: float
    alarm_s: float | None  # None: the default, see `alarm_after`


class Sensor:
    """Base of the sensors: a thread receives samples, and iteration gives them as blocks, as a `Source` does.

    A subclass opens its device, calls this constructor with the declared or measured rate, and defines `_receive`,
    which runs in the thread until `_feed.stopping` is set and passes on samples with `_put`; `_close`; and `_discard`,
    if samples can wait in the device.
    """

    def __init__(
        self,
        declared: Declared,
        rate_hz: int,
        want: Wanted,
        buffer_s: float = BUFFER_S,
        fix_rate: str = "correct it with rate=, or rate=measure",
    ) -> None:
        self.name = declared.name
        self.unit = declared.unit
        self.channels = declared.channels
        self.rate_hz = rate_hz
        self.alarm_s = alarm_after(declared.alarm_s, rate_hz)
        self._scale = declared.scale
        self._watch = RateWatch(self.name, rate_hz, self.alarm_s, fix=fix_rate)
        self._feed = Feed(self.name, rate_hz, self.channels, want, self.alarm_s, buffer_s)

    def __enter__(self: AnySensor) -> AnySensor:
        with suppress(OSError):  # a device that is gone is noticed when it is read
            self._discard()  # samples that arrived while other sources were opened
        self._feed.start(self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        self._feed.stop()
        self._close()

    def __iter__(self) -> Iterator[Block | Health]:
        return iter(self._feed)

    def _put(self, pieces: Pieces, patience_s: float = 0.0) -> None:
        """Pass on samples, scaled; warn once if they arrive at another rate than declared."""
        for lost, samples in pieces:
            self._feed.put(scaled(samples, self._scale), lost, patience_s)
            for warning in self._watch.push(lost + len(samples)):
                logging.getLogger("edge_res").warning("%s", warning)

    def _receive(self) -> None:
        raise NotImplementedError

    def _discard(self) -> None:
        """Forget what has arrived and was not read."""

    def _close(self) -> None:
        raise NotImplementedError


def read_declared(name: str, options: SensorOptions, want: Wanted, example: str) -> Declared:
    """What the address of a sensor declares, completed from the command line and the model.

    Raises `ConfigError`, and `SignalError` if the model expects another number of channels.
    """
    channels = _read_channels(name, options.channels, want, example)
    return Declared(
        name,
        read_unit(options.unit),
        channels,
        read_rate(name, options.rate, want, example),
        read_scale(name, options.scale),
        read_alarm(name, options.alarm),
    )


def _read_channels(name: str, channels: int | None, want: Wanted, example: str) -> int:
    found = channels or want.given_channels or want.channels
    if channels == 0 or not found:
        raise ConfigError(f"{name} does not say how many channels it has; give them as in {example}.")
    if not 1 <= found <= MOST_CHANNELS:
        raise ConfigError(f"{name} says channels={found}; expected 1 to {MOST_CHANNELS}.")
    check_channels(name, found, want.channels, "pick some with --channel, or use a model made for this sensor")
    return found


def read_unit(unit: str) -> str:
    """The unit of the scaled samples; empty for `audio`, whose full scale is ±1, see `Source`."""
    return "" if unit == "audio" else unit or RAW


def read_rate(name: str, rate: str | None, want: Wanted, example: str) -> int | None:
    """The declared rate in Hz, of the address or else of the command line; None: it is to be measured.

    Raises `ConfigError` if neither gives it: a model does not know at what rate a sensor runs.
    """
    if rate == "measure":
        return None
    if rate is None and want.given_rate_hz is None:
        raise ConfigError(f"{name} does not say its sample rate; give it in Hz as in {example}, or use rate=measure.")
    if rate is None:
        return want.given_rate_hz
    if not rate.isascii() or not rate.isdecimal() or not 1 <= int(rate) <= 1_000_000:
        raise ConfigError(f"{name} says rate={rate}; expected a whole number of Hz, or measure.")
    return int(rate)


def read_scale(name: str, scale: float) -> float:
    """The factor of each value; raises `ConfigError`."""
    if not math.isfinite(scale) or scale == 0:
        raise ConfigError(f"{name} says scale={scale:g}; expected a number other than 0.")
    return scale


def read_alarm(name: str, alarm_s: float | None) -> float | None:
    """The declared seconds without a sample that are an alarm, or None; raises `ConfigError`."""
    if alarm_s is not None and not 0 < alarm_s < math.inf:
        raise ConfigError(f"{name} says alarm={alarm_s:g}; expected a number of seconds above 0.")
    return alarm_s


def alarm_after(alarm_s: float | None, rate_hz: int) -> float:
    """Seconds without a sample that are an alarm: as declared, or else 1, and more for a slow sensor."""
    return alarm_s or max(_ALARM_S, _ALARM_SAMPLES / rate_hz)


def check_width(name: str, found: int, declared: int) -> None:
    """Raise a `SignalError` if intact samples have another number of channels than declared."""
    if found != declared:
        raise SignalError(
            f"{name} sends {found} channel{'s' * (found != 1)}, expected {declared}; set channels={found}, and pick "
            "with --channel if the model needs fewer."
        )


def scaled(samples: Samples, scale: float) -> Samples:
    """Float32 `samples` times `scale`; values that become too large are infinite, and count as lost later."""
    with np.errstate(over="ignore"):
        product: Samples = samples * np.float32(scale)
        return product


def settle_rate(name: str, receive: Callable[[], Pieces], fix: str) -> int:
    """Measure the rate of a sensor; `receive` waits for a moment and returns what has arrived.

    Raises `SourceError` if too little arrives.
    """
    return take_rate(name, measure_rate(_arrivals(receive)), fix)


def _arrivals(receive: Callable[[], Pieces]) -> Iterator[tuple[float, int]]:
    """The second at which samples arrived, and how many; ends when none has arrived for `FIRST_S`."""
    last_s = monotonic()
    while monotonic() - last_s < FIRST_S:
        for lost, samples in receive():
            last_s = monotonic()
            yield last_s, lost + len(samples)


def measure_rate(arrivals: Iterable[tuple[float, int]]) -> float | None:
    """The rate in Hz of samples that arrive in pieces (second, samples), over `_MEASURED_S`; None: too few."""
    began_s: float | None = None
    samples = 0
    for now_s, count in arrivals:
        if began_s is None:
            began_s = now_s  # how long the first piece took to arrive is unknown
            continue
        samples += count
        if now_s - began_s >= _MEASURED_S:
            return samples / (now_s - began_s)
    return None


def take_rate(name: str, measured_hz: float | None, fix: str) -> int:
    """The rate that a measured one stands for, which is logged; raises `SourceError` if none was measured."""
    if measured_hz is None or measured_hz < 1:
        raise SourceError(f"{name} sends too little to measure its rate; {fix}, or give rate= in Hz.")
    rate_hz = round_rate(measured_hz)
    logging.getLogger("edge_res").warning(
        "%s delivers %.4g samples a second; using a rate of %d Hz.", name, measured_hz, rate_hz
    )
    return rate_hz


def round_rate(rate_hz: float) -> int:
    """The common rate that a measured one stands for, or else its first three digits."""
    nearest = min(_COMMON_HZ, key=lambda common: abs(common - rate_hz))
    if abs(nearest - rate_hz) <= _SAME * nearest:
        return nearest
    return max(1, round(float(f"{rate_hz:.3g}")))


class RateWatch:
    """Compares the rate at which samples arrive with the declared one, and warns once if they differ.

    It judges by two stretches of `_WATCHED_S` in a row that agree, since one alone may be a stall of this machine. A
    pause of more than `pause_s` is part of neither.
    """

    def __init__(
        self,
        name: str,
        rate_hz: int,
        pause_s: float,
        clock: Callable[[], float] = monotonic,
        fix: str = "correct it with rate=, or rate=measure",
        tolerance: float = _TOLERANCE,
    ) -> None:
        self._name = name
        self._rate_hz = rate_hz
        self._pause_s = pause_s
        self._fix = fix
        self._tolerance = tolerance
        self._clock = clock
        self._began_s = self._last_s = -math.inf
        self._samples = 0
        self._before = 0.0  # how far the stretch before was off
        self._warned = False

    def push(self, count: int) -> Iterator[str]:
        """`count` samples have arrived, or are known to be lost; yields the warning."""
        now_s = self._clock()
        paused, self._last_s = now_s - self._last_s > self._pause_s, now_s
        if paused:
            self._began_s, self._samples, self._before = now_s, 0, 0.0
            return
        self._samples += count
        elapsed_s = now_s - self._began_s
        if elapsed_s < _WATCHED_S:
            return
        measured_hz = self._samples / elapsed_s
        off = measured_hz / self._rate_hz - 1
        if min(abs(off), abs(self._before)) > self._tolerance and off * self._before > 0 and not self._warned:
            self._warned = True
            yield (f"{self._name} delivers {measured_hz:.4g} samples a second instead of {self._rate_hz}; {self._fix}.")
        self._began_s, self._samples, self._before = now_s, 0, off
