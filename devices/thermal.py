"""Temperatures, of Linux' thermal zones (Documentation/driver-api/thermal/sysfs-api.rst)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edge_res.devices.files import number, text


def read_temperatures(root: Path = Path("/")) -> dict[str, float]:
    """°C by the type of the zone; of several zones of a type, the hottest. A zone that sleeps is left out."""
    found: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone[0-9]*")):
        name, celsius = text(zone / "type"), number(zone / "temp", 1e-3)
        if celsius is not None:
            found[name] = max(celsius, found.get(name, celsius))
    return found


def hottest_c(root: Path = Path("/"), zones: Collection[str] = ()) -> float | None:
    """Of the zones of these types, of all where none are given."""
    found = read_temperatures(root)
    return max((celsius for name, celsius in found.items() if name in zones or not zones), default=None)
