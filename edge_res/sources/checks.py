"""What every source of recorded samples refuses, in the same words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Samples


def check_readable(path: str) -> None:
    """Raise a `SourceError` where there is no file that can be read."""
    try:
        with Path(path).open("rb"):
            pass
    except FileNotFoundError:
        raise SourceError(f"There is no file {path}; check the path.") from None
    except IsADirectoryError:
        raise SourceError(f"{path} is a directory; give one file of it.") from None
    except PermissionError:
        raise SourceError(f"{path} may not be read: permission denied; see `ls -l` for who may.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise SourceError(f"{path!r} cannot be opened: {getattr(error, 'strerror', error)}.") from None


def check_channels(name: str, found: int, expected: int | None, fix: str) -> None:
    """Raise a `SignalError` where a source has other channels than the model: nothing is mixed silently."""
    if expected is not None and found != expected:
        raise SignalError(f"{name} has {_channels(found)}, but the model expects {expected}; {fix}.")


def check_given_channels(name: str, found: int, given: int | None) -> None:
    """Raise a `ConfigError` where the user says other channels than the file itself."""
    if given not in (None, found):
        raise ConfigError(f"{name} has {_channels(found)}, and --channels says {given}; leave --channels out.")


def check_any(name: str, samples: int) -> None:
    """Raise a `SignalError` where a source is empty."""
    if samples == 0:
        raise SignalError(f"{name} holds 0 samples; there is nothing to listen to.")


def check_finite(name: str, samples: Samples, at: int, rate_hz: int) -> None:
    """Raise a `SignalError` that says at which second a NaN or infinity is; `at` is the position of the first."""
    finite = np.isfinite(samples)
    if not finite.all():
        first, channel = np.argwhere(~finite)[0]
        value = "NaN" if np.isnan(samples[first, channel]) else "infinity"
        where = f"{(at + first) / rate_hz:.3f} s" + (f" in channel {channel}" if samples.shape[1] > 1 else "")
        raise SignalError(f"{name} holds {value} at {where}; a sample must be a number that fits in 32 bits.")


def _channels(count: int) -> str:
    return f"{count} channel" + "s" * (count != 1)
