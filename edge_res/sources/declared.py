"""What an address declares of a sensor's samples, which do not say it themselves."""

from __future__ import annotations

import math

import numpy as np

from edge_res.errors import ConfigError, SignalError
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
