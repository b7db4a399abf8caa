"""What a device can do at most, by the table `[peaks]` of its file: of one core, for one thread.

::

    [peaks]
    clock_mhz = 1500        # the fastest core's
    int8_gmacs = 12.0       # multiply-adds of int8, 10⁹ a second
    fp32_gflops = 12.0
    memory_gbs = 4.0        # 10⁹ bytes a second
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_res import devices
from edge_res.errors import ConfigError
from edge_res.profiling.estimate import Peaks
from edge_res.profiling.toml import tomllib

KEYS = ("clock_mhz", "int8_gmacs", "fp32_gflops", "memory_gbs")


def all_peaks() -> dict[str, Peaks]:
    """Of the devices that come along, those whose files have such a table."""
    found = (read_peaks(path) for path in sorted(Path(str(devices.__file__)).parent.glob("*.toml")))
    return {peaks.device: peaks for peaks in found if peaks is not None}


def read_peaks(path: Path) -> Peaks | None:
    """Of one file, None where it has no such table; what is wrong with one is a `ConfigError`."""
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("peaks")
    except OSError as error:
        raise ConfigError(f"The device file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise ConfigError(f"The device file {path} is not TOML: {error}.") from None
    if table is None:
        return None
    values = [table.get(key) for key in KEYS] if isinstance(table, dict) else []
    numbers = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(KEYS) or min(numbers) <= 0:
        raise ConfigError(f"The table [peaks] of {path} must have {', '.join(KEYS)}, each a number above 0.")
    clock, int8, fp32, memory = numbers
    return Peaks(path.stem, clock * 1e6, int8 * 1e9, fp32 * 1e9, memory * 1e9)
