"""How much power a board draws, by what it measures itself.

- `ina3221`: a Jetson's monitors, three channels a chip. The driver in Linux shows millivolts and milliamperes
  (Documentation/hwmon/ina3221.rst), that of JetPack 4 milliwatts under /sys/bus/i2c.
- `pmic`: a Raspberry Pi 5's power management chip, read by `vcgencmd pmic_read_adc`. It measures neither its own losses
  nor what USB devices draw.
- `rapl`: an x86 processor counts its energy (Documentation/power/powercap/powercap.rst); since Linux 5.10 only root can
  read the counter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.readings import hwmons, number, text, vcgencmd
from edge_res.devices.schema import INA3221, PMIC


@dataclass(frozen=True)
class Rail:
    """The power that a part of the board draws, in W."""

    name: str
    power_w: float


@dataclass(frozen=True)
class Counter:
    """The energy that a processor has used so far, in J; it wraps around to 0 after `range_j`."""

    name: str
    energy_j: float
    range_j: float


def read_rails(root: Path = Path("/"), way: str = INA3221) -> tuple[Rail, ...]:
    """All rails read that way; empty if the board measures none, and for `rapl`, which counts energy instead."""
    if way == PMIC:
        return _pmic(vcgencmd("pmic_read_adc", root=root))
    return (*_hwmon_rails(root), *_iio_rails(root)) if way == INA3221 else ()


def read_counters(root: Path = Path("/")) -> tuple[Counter, ...]:
    """RAPL's counters, one per package."""
    found = []
    for folder in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*")):
        energy = number(folder / "energy_uj", 1e-6)
        if folder.name.count(":") == 1 and energy is not None:  # two colons: a part of a package
            found.append(Counter(text(folder / "name"), energy, number(folder / "max_energy_range_uj", 1e-6) or 0.0))
    return tuple(found)


def spent_j(before: Counter, after: Counter) -> float:
    """The energy used between two readings of a counter, J."""
    return after.energy_j - before.energy_j + (before.range_j if after.energy_j < before.energy_j else 0.0)


def _hwmon_rails(root: Path) -> list[Rail]:
    found = []
    for folder in hwmons(root, "ina3221"):
        for channel in (1, 2, 3):
            name = text(folder / f"in{channel}_label")
            volts, amperes = number(folder / f"in{channel}_input", 1e-3), number(folder / f"curr{channel}_input", 1e-3)
            if name not in ("", "NC") and volts is not None and amperes is not None:  # NC: not connected
                found.append(Rail(name, volts * amperes))
    return found


def _iio_rails(root: Path) -> list[Rail]:
    """JetPack 4: `rail_name_0` and `in_power0_input` in /sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0."""
    found = []
    for path in sorted((root / "sys/bus/i2c/drivers/ina3221x").glob("*/iio:device*/rail_name_*")):
        watts = number(path.parent / f"in_power{path.name.removeprefix('rail_name_')}_input", 1e-3)
        if watts is not None:
            found.append(Rail(text(path), watts))
    return found


def _pmic(answer: str) -> tuple[Rail, ...]:
    """` 3V3_SYS_A current(1)=0.06245952A` and `3V3_SYS_V volt(9)=3.30632200V` make a rail; EXT5V has no current."""
    values = {name: float(value) for name, value in re.findall(r"(\w+_[AV]) \w+\(\d+\)=([\d.]+)[AV]", answer)}
    names = [name.removesuffix("_A") for name in values if name.endswith("_A")]
    return tuple(Rail(name, values[f"{name}_A"] * values[f"{name}_V"]) for name in names if f"{name}_V" in values)
