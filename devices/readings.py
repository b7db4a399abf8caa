"""Small files of /proc and /sys: what cannot be read is not there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.schema import CPUFREQ, FIRMWARE, THROTTLING_WAYS


def text(path: Path) -> str:
    """The file's text without the white space and zero bytes around it; empty where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\n")
    except OSError:  # also from reading: a sensor that sleeps answers "Resource temporarily unavailable"
        return ""


def number(path: Path, scale: float = 1.0) -> float | None:
    """The number in the file times `scale`, None where there is none."""
    try:
        return float(text(path)) * scale
    except ValueError:
        return None


def hwmons(root: Path, *names: str) -> Iterator[Path]:
    """The folders of the kernel's hardware monitors of these names (Documentation/hwmon/sysfs-interface.rst)."""
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if text(folder / "name") in names:
            yield folder


_TIMEOUT_S = 1.0


def vcgencmd(*arguments: str, root: Path = Path("/")) -> str:
    """What the program prints; empty where it is not installed, is not allowed to ask, or hangs."""
    program = root / "usr/bin/vcgencmd"
    if not program.is_file():
        return ""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


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


_MHZ = 1e-3  # a kHz


@dataclass(frozen=True)
class Clock:
    """The clock that some cores share: what it is set to, what is allowed now, and what the hardware can do, in MHz."""

    policy: str
    cores: tuple[int, ...]
    now_mhz: float | None
    lowest_mhz: float | None
    highest_mhz: float | None
    hardware_mhz: float | None
    governor: str


def read_clocks(root: Path = Path("/")) -> tuple[Clock, ...]:
    """All of them; none on a machine whose clock Linux does not set, as a virtual one."""
    folders = (root / "sys/devices/system/cpu/cpufreq").glob("policy[0-9]*")
    return tuple(
        Clock(
            policy=folder.name,
            cores=tuple(int(core) for core in text(folder / "related_cpus").split() if core.isdecimal()),
            now_mhz=number(folder / "scaling_cur_freq", _MHZ),
            lowest_mhz=number(folder / "scaling_min_freq", _MHZ),
            highest_mhz=number(folder / "scaling_max_freq", _MHZ),
            hardware_mhz=number(folder / "cpuinfo_max_freq", _MHZ),
            governor=text(folder / "scaling_governor"),
        )
        for folder in sorted(folders, key=lambda folder: int(folder.name.removeprefix("policy")))
    )


def firmware_mhz(root: Path = Path("/")) -> float | None:
    """The clock of all cores as the firmware of a Raspberry Pi measures it (`frequency(48)=1800404352`).

    It lowers the clock on its own, which Linux does not see.
    """
    found = re.search(r"=(\d+)", vcgencmd("measure_clock", "arm", root=root))
    return int(found[1]) / 1e6 if found else None


def mean_clock_mhz(root: Path = Path("/"), way: str = CPUFREQ) -> float | None:
    """The mean over the cores that run, of the firmware where `way` says so and it answers."""
    if way == FIRMWARE and (told := firmware_mhz(root)) is not None:
        return told
    known = [(clock.now_mhz, max(1, len(clock.cores))) for clock in read_clocks(root) if clock.now_mhz is not None]
    return sum(mhz * cores for mhz, cores in known) / sum(cores for _, cores in known) if known else None
