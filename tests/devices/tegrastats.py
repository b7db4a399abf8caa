"""Lines of `tegrastats` from each Jetson, verbatim as users published them, and trees with the same readings.

Such a line, printed by the board's own program, shows the names and values of its thermal zones and power rails; the
device files use these names.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.devices.boards import hwmon, policy, write_file, zones

# A device file, and what its board printed.
LINES = [
    (name, line)
    for name, _, line in (
        entry.partition(": ") for entry in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    )
]
IIO = ("jetson-nano", "jetson-tx2")  # of JetPack 4, whose driver shows milliwatts
OTHER_CHIP = ("VIN",)  # rails that are not an INA3221's


def temperatures(line: str) -> dict[str, float]:
    """°C by type of zone: `cpu-thermal` since JetPack 6, `CPU-therm` before, `PMIC-Die`."""
    found = re.findall(r"(\w+)@(-?[\d.]+)C", line)
    return {zone(name): float(value) for name, value in found}


def zone(name: str) -> str:
    if name == "PMIC":
        return "PMIC-Die"
    return f"{name}-thermal" if name.islower() else f"{name}-therm"


def clocks(line: str) -> list[int]:
    """MHz of the cores that are online."""
    return [int(value) for value in re.findall(r"%@(\d+)", line.partition("CPU [")[2].partition("]")[0])]


def milliwatts(line: str) -> list[tuple[str, int]]:
    """The rails' present values; the average follows the slash."""
    return [(name, int(value)) for name, value in re.findall(r" (V[A-Z]\w+|VIN|POM\w+|NC) (\d+)(?:mW)?/", line)]


def tree(root: Path, line: str, iio: bool) -> None:
    """A tree of the files that `tegrastats` read for the line."""
    zones(root, **{name.replace("-", "_"): value for name, value in temperatures(line).items()})
    for core, mhz in enumerate(clocks(line)):
        policy(root, core, str(core), (1000 * mhz, 115200, 1000 * mhz, 1000 * mhz), "schedutil")
    rails = [(name, value) for name, value in milliwatts(line) if name not in OTHER_CHIP]
    for place, (name, value) in enumerate(rails):
        chip, channel = divmod(place, 3)
        if iio:
            folder = root / f"sys/bus/i2c/drivers/ina3221x/{chip}-0040/iio:device{chip}"
            write_file(folder / f"rail_name_{channel}", f"{name}\n")
            write_file(folder / f"in_power{channel}_input", f"{value}\n")
        else:  # one volt, and as many milliamperes
            number = channel + 1
            values = {f"in{number}_label": name, f"in{number}_input": "1000", f"curr{number}_input": str(value)}
            hwmon(root, chip, "ina3221", **values)
