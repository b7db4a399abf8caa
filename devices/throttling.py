"""What slows a board: a weak power supply, or heat.

The ways to find out, of which a device file lists its own:

- `get_throttled`: a Raspberry Pi's firmware tells bits, of now and since the start, by `vcgencmd get_throttled`
  (`throttled=0x50005`). https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
  Older kernels of Pi OS have a file of that name, which is not read: it puts a warning with a backtrace into the
  kernel's log, and is gone since 2025 (raspberrypi/linux#6697).
- `rpi_volt`: the alarm of Linux' drivers/hwmon/raspberrypi-hwmon.c, which asks the firmware every 2 s.
- `soctherm_oc`: a Jetson Orin counts what its power supply made it throttle for: 1 is too low a voltage, 2 too high a
  mean and 3 too high a momentary current (Jetson Linux Developer Guide, Platform Power and Performance, "Jetson
  Orin…", Over-Current Throttling).
- `cooling`: Linux lowers the clock of a zone that is too hot (Documentation/driver-api/thermal/sysfs-api.rst); the
  cooling device `cpufreq-cpu0` (`thermal-cpufreq-0` before Linux 5.12, `cpu-balanced` in L4T's 4.9) is then in another
  state than 0.
- `thermal_throttle`: x86 cores count how often heat slowed them (arch/x86/kernel/cpu/mce/therm_throt.c).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.files import hwmons, number, text
from edge_res.devices.vcgencmd import vcgencmd
from edge_res.devices.ways import THROTTLING_WAYS

UNDER_VOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT, OVER_CURRENT, HOT = (
    "under-voltage", "capped", "throttled", "soft-limit", "over-current", "hot",
)  # fmt: skip

_COOLED = ("cpufreq-", "thermal-cpufreq-", "cpu-balanced")
_BITS = (UNDER_VOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT)  # from bit 0 of now, from bit 16 since the start
_EVENTS = {"oc1": UNDER_VOLTAGE, "oc2": OVER_CURRENT, "oc3": OVER_CURRENT}
_SENTENCES = {
    UNDER_VOLTAGE: "the supply voltage is too low",
    CAPPED: "the firmware caps the clock",
    THROTTLED: "the firmware throttles the processor",
    SOFT_LIMIT: "the soft temperature limit lowers the clock",
    OVER_CURRENT: "the board takes more current than its power mode allows",
    HOT: "heat lowers the clock",
}


@dataclass(frozen=True)
class Flag:
    """Something that slows the board `now`, or has at some time since the start; `count`: how often, where counted."""

    code: str
    now: bool
    count: int = 0

    @property
    def what(self) -> str:
        """What slows it, in words."""
        return _SENTENCES[self.code]

    def __str__(self) -> str:
        times = f" ({self.count} time{'s' * (self.count > 1)})" if self.count else ""
        return f"{'now' if self.now else 'since the start'}: {self.what}{times}"


def read_flags(root: Path = Path("/"), ways: Collection[str] = THROTTLING_WAYS) -> tuple[Flag, ...]:
    """All that is set, each once; nothing where nothing is, and where the machine does not tell."""
    readers = {
        "get_throttled": _firmware,
        "rpi_volt": _rpi_volt,
        "soctherm_oc": _soctherm_oc,
        "cooling": _cooling,
        "thermal_throttle": _thermal_throttle,
    }
    return tuple(dict.fromkeys(flag for way in THROTTLING_WAYS if way in ways for flag in readers[way](root)))


def _firmware(root: Path) -> Iterator[Flag]:
    found = re.search(r"throttled=0x([0-9a-f]+)", vcgencmd("get_throttled", root=root))
    bits = int(found[1], 16) if found else 0
    for place, code in enumerate(_BITS):
        if bits >> place & 1:
            yield Flag(code, now=True)
        elif bits >> (16 + place) & 1:
            yield Flag(code, now=False)


def _rpi_volt(root: Path) -> Iterator[Flag]:
    if any(text(folder / "in0_lcrit_alarm") == "1" for folder in hwmons(root, "rpi_volt")):
        yield Flag(UNDER_VOLTAGE, now=True)


def _soctherm_oc(root: Path) -> Iterator[Flag]:
    for folder in hwmons(root, "soctherm_oc"):
        for name, code in _EVENTS.items():
            if count := number(folder / f"{name}_event_cnt"):
                yield Flag(code, now=False, count=int(count))


def _cooling(root: Path) -> Iterator[Flag]:
    for device in (root / "sys/class/thermal").glob("cooling_device[0-9]*"):
        if text(device / "type").startswith(_COOLED) and number(device / "cur_state"):
            yield Flag(HOT, now=True)


def _thermal_throttle(root: Path) -> Iterator[Flag]:
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    if count := sum(int(number(core) or 0) for core in cores):
        yield Flag(HOT, now=False, count=count)
