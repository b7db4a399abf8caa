"""What an address declares of a sensor's samples, which do not say it themselves."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from time import monotonic

import numpy as np

from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Samples
from edge_res.sources import Wanted
from edge_res.sources.checks import check_channels
from edge_res.sources.framing import MOST_CHANNELS

RAW = "raw"  # the unit of samples of which nobody said it
_PIECES = 5  # samples that must have failed to come before that is an alarm, however slow the sensor


def read_channels(name: str, channels: int | None, want: Wanted, example: str) -> int:
    """The channels of the address, or else of the command line, or else the model's.

    Raises `ConfigError`, and `SignalError` where the model listens to others.
    """
    found = channels or want.given_channels or want.channels
    if channels == 0 or not found:
        raise ConfigError(f"{name} does not say how many channels it has; give them as in {example}.")
    if not 1 <= found <= MOST_CHANNELS:
        raise ConfigError(f"{name} says channels={found}; there may be 1 to {MOST_CHANNELS}.")
    check_channels(name, found, want.channels, "pick some with --channel, or choose a model made for it")
    return found


def check_width(name: str, found: int, declared: int) -> None:
    """Raise a `SignalError` where samples come that are whole, and have other channels than declared."""
    if found != declared:
        raise SignalError(
            f"{name} sends {found} channel{'s' * (found != 1)}, and {declared} {'is' if declared == 1 else 'are'} "
            f"expected; say channels={found}, and where the model has others, pick with --channel."
        )


def read_unit(unit: str) -> str:
    """The unit of the scaled samples; `audio` means that full scale is ±1, and is none, see `Source`."""
    return "" if unit == "audio" else unit or RAW


def read_scale(name: str, scale: float) -> float:
    """What each value is multiplied by; raises `ConfigError`."""
    if not math.isfinite(scale) or scale == 0:
        raise ConfigError(f"{name} says scale={scale:g}; it must be a number other than 0.")
    return scale


def scaled(samples: Samples, scale: float) -> Samples:
    """Float32 `samples` times `scale`; what is too large then is infinite, which no sample may be."""
    with np.errstate(over="ignore"):
        product: Samples = samples * np.float32(scale)
        return product


def read_alarm(name: str, alarm_s: float | None, rate_hz: int) -> float:
    """Seconds without a sample that are an alarm: as declared, or 1 and more for a slow sensor."""
    if alarm_s is not None and not 0 < alarm_s < math.inf:
        raise ConfigError(f"{name} says alarm={alarm_s:g}; it must be a number of seconds above 0.")
    return alarm_s or max(1.0, _PIECES / rate_hz)


GUESS_HZ = 1000  # while it is measured
FIRST_S = 10.0  # that the first sample may take then: boards need some to start
_MEASURED_S = 2.0
_WATCHED_S = 5.0
_TOLERANCE = 0.02
_SAME = 0.01  # by which a measured rate may be off the common one that is meant
# Round ones, and output data rates of common inertial and audio chips.
_COMMON_HZ = (
    1, 2, 5, 10, 12, 20, 25, 26, 50, 52, 60, 100, 104, 119, 125, 200, 208, 238, 250, 256, 400, 416, 476, 500, 512, 800,
    833, 952, 1000, 1024, 1600, 1660, 2000, 2048, 2500, 3200, 3330, 4000, 4096, 5000, 6400, 6660, 8000, 10000, 11025,
    12000, 12800, 16000, 20000, 22050, 24000, 25600, 26667, 32000, 44100, 48000, 96000,
)  # fmt: skip


def read_rate(name: str, rate: str | None, want: Wanted, example: str) -> int | None:
    """The declared rate in Hz, of the address or else of the command line; None: it is to be measured.

    Raises `ConfigError` where nobody says it: a model does not know at what rate a sensor runs.
    """
    if rate == "measure":
        return None
    if rate is None and want.given_rate_hz is None:
        raise ConfigError(f"{name} does not say its sample rate; give it in Hz as in {example}, or rate=measure.")
    if rate is None:
        return want.given_rate_hz
    if not rate.isascii() or not rate.isdecimal() or not 1 <= int(rate) <= 1_000_000:
        raise ConfigError(f"{name} says rate={rate}; it must be a whole number of Hz, or measure.")
    return int(rate)


def measure_rate(arrivals: Iterable[tuple[float, int]]) -> float | None:
    """The rate in Hz of samples that come in pieces, (second, samples) each, over `_MEASURED_S`; None: too few came."""
    began_s: float | None = None
    samples = 0
    for now_s, count in arrivals:
        if began_s is None:
            began_s = now_s  # what came with the first piece took an unknown time to come
            continue
        samples += count
        if now_s - began_s >= _MEASURED_S:
            return samples / (now_s - began_s)
    return None


def take_rate(name: str, measured_hz: float | None, way_out: str) -> int:
    """The rate that a measured one means, told; raises `SourceError` where there is none."""
    if measured_hz is None or measured_hz < 1:
        raise SourceError(f"{name} sends too little to measure its rate; {way_out}, or give rate= in Hz.")
    rate_hz = round_rate(measured_hz)
    logging.getLogger("edge_res").warning(
        "%s delivers %.4g samples a second; its rate is taken to be %d Hz.", name, measured_hz, rate_hz
    )
    return rate_hz


def round_rate(rate_hz: float) -> int:
    """The common rate that a measured one means, or its first three digits."""
    nearest = min(_COMMON_HZ, key=lambda common: abs(common - rate_hz))
    if abs(nearest - rate_hz) <= _SAME * nearest:
        return nearest
    return max(1, round(float(f"{rate_hz:.3g}")))


class RateWatch:
    """Compares the rate at which samples come with what it should be, and says once when they differ.

    Judged over two stretches of `_WATCHED_S` that agree: one alone may be a stall of this machine. A pause of more than
    `pause_s` is no part of one.
    """

    def __init__(
        self,
        name: str,
        rate_hz: int,
        pause_s: float,
        clock: Callable[[], float] = monotonic,
        way_out: str = "correct it with rate=, or rate=measure",
        tolerance: float = _TOLERANCE,
    ) -> None:
        self._name = name
        self._rate_hz = rate_hz
        self._pause_s = pause_s
        self._way_out = way_out
        self._tolerance = tolerance
        self._clock = clock
        self._began_s = self._last_s = -math.inf
        self._samples = 0
        self._before = 0.0  # how far the stretch before was off
        self._told = False

    def push(self, count: int) -> Iterator[str]:
        """`count` samples have come, or are known to be lost; yields the sentence."""
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
        if min(abs(off), abs(self._before)) > self._tolerance and off * self._before > 0 and not self._told:
            self._told = True
            yield (
                f"{self._name} delivers {measured_hz:.4g} samples a second, and its rate is said to be "
                f"{self._rate_hz} Hz; {self._way_out}."
            )
        self._began_s, self._samples, self._before = now_s, 0, off
