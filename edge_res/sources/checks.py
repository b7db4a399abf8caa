"""Checks that sources share, with the same messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Samples


def check_readable(path: str) -> None:
    """Raise a `SourceError` if a file does not exist or cannot be read."""
    try:
        with Path(path).open("rb"):
            pass
    except FileNotFoundError:
        raise SourceError(f"There is no file {path}; check the path.") from None
    except IsADirectoryError:
        raise SourceError(f"{path} is a directory; give a file in it.") from None
    except PermissionError:
        raise SourceError(f"{path} cannot be read: permission denied; `ls -l` shows who may read it.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise SourceError(f"{path!r} cannot be opened: {getattr(error, 'strerror', error)}.") from None


def check_channels(name: str, found: int, expected: int | None, fix: str) -> None:
    """Raise a `SignalError` if a source has another number of channels than the model: nothing is mixed silently."""
    if expected is not None and found != expected:
        raise SignalError(f"{name} has {_channels(found)}, but the model expects {expected}; {fix}.")


def check_given_channels(name: str, found: int, given: int | None) -> None:
    """Raise a `ConfigError` if the user gives another number of channels than the file itself."""
    if given not in (None, found):
        raise ConfigError(f"{name} has {_channels(found)}, but --channels says {given}; leave --channels out.")


def check_any(name: str, samples: int) -> None:
    """Raise a `SignalError` if a source is empty."""
    if samples == 0:
        raise SignalError(f"{name} holds 0 samples; there is nothing to listen to.")


def check_finite(name: str, samples: Samples, at: int, rate_hz: int) -> None:
    """Raise a `SignalError` with the second of the first NaN or infinity; `at` is the position of the first sample."""
    finite = np.isfinite(samples)
    if not finite.all():
        first, channel = np.argwhere(~finite)[0]
        value = "NaN" if np.isnan(samples[first, channel]) else "infinity"
        where = f"{(at + first) / rate_hz:.3f} s" + (f" in channel {channel}" if samples.shape[1] > 1 else "")
        raise SignalError(f"{name} holds {value} at {where}; a sample must be a finite 32-bit number.")


def _channels(count: int) -> str:
    return f"{count} channel" + "s" * (count != 1)
