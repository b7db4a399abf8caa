"""Temperatures, of Linux' thermal zones (Documentation/driver-api/thermal/sysfs-api.rst), and of x86's own sensors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edge_res.devices.files import hwmons, number, text

_OFF_C = -256.0  # what a zone of JetPack 5 reads whose part of the chip is switched off (tegrastats: CV0@-256C)
_HWMONS = ("coretemp", "k10temp")  # of Intel and AMD, which are not always zones (Documentation/hwmon)


def read_temperatures(root: Path = Path("/")) -> dict[str, float]:
    """°C by the type of the zone; of several zones of a type, the hottest. A zone that sleeps or is off is left out."""
    found: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone[0-9]*")):
        name, celsius = text(zone / "type"), number(zone / "temp", 1e-3)
        if celsius is not None and celsius > _OFF_C:
            found[name] = max(celsius, found.get(name, celsius))
    for folder in hwmons(root, *_HWMONS):
        celsius = number(folder / "temp1_input", 1e-3)
        if celsius is not None:
            name = text(folder / "name")
            found[name] = max(celsius, found.get(name, celsius))
    return found


def hottest_c(root: Path = Path("/"), zones: Collection[str] = ()) -> float | None:
    """Of the zones of these types, of all where none are given."""
    found = read_temperatures(root)
    return max((celsius for name, celsius in found.items() if name in zones or not zones), default=None)
