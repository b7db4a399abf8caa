"""What a machine reports while it runs: temperatures, clocks, and what slows it down.

Most of it lies in small files of /proc and /sys; a Raspberry Pi's firmware reports more. What cannot be read counts as
absent. `root` is `/`, or a copy of a machine's file system.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.schema import CPUFREQ, FIRMWARE, THROTTLING_WAYS

# What slows a board, as `Flag.code` has it.
UNDER_VOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT, OVER_CURRENT, HOT = (
    "under-voltage", "capped", "throttled", "soft-limit", "over-current", "hot",
)  # fmt: skip
_SENTENCES = {
    UNDER_VOLTAGE: "the supply voltage is too low",
    CAPPED: "the firmware caps the clock",
    THROTTLED: "the firmware throttles the processor",
    SOFT_LIMIT: "the soft temperature limit lowers the clock",
    OVER_CURRENT: "the board draws more current than its power mode allows",
    HOT: "heat lowers the clock",
}
_BITS = (UNDER_VOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT)  # of get_throttled: from bit 0 now, from bit 16 since the start
_EVENTS = {"oc1": UNDER_VOLTAGE, "oc2": OVER_CURRENT, "oc3": OVER_CURRENT}  # of soctherm_oc
_COOLED = ("cpufreq-", "thermal-cpufreq-", "cpu-balanced")  # cooling devices that lower the clock of cores
_OFF_C = -256.0  # what a zone of JetPack 5 reads if its part of the chip is switched off (tegrastats: CV0@-256C)
_HWMONS = ("coretemp", "k10temp")  # sensors of Intel and AMD, which are not always zones (Documentation/hwmon)
_MHZ = 1e-3  # a kHz
_TIMEOUT_S = 1.0  # of vcgencmd


@dataclass(frozen=True)
class Flag:
    """Something that slows the board `now`, or did at some time since the start; `count`: how often, 0 if unknown."""

    code: str
    now: bool
    count: int = 0

    @property
    def what(self) -> str:
        """What slows the board, in words."""
        return _SENTENCES[self.code]

    def __str__(self) -> str:
        times = f" ({self.count} time{'s' * (self.count > 1)})" if self.count else ""
        return f"{'now' if self.now else 'since the start'}: {self.what}{times}"


@dataclass(frozen=True)
class Clock:
    """The clock that some cores share: its setting, the limits in force, and what the hardware can do, in MHz."""

    policy: str
    cores: tuple[int, ...]
    now_mhz: float | None
    lowest_mhz: float | None
    highest_mhz: float | None
    hardware_mhz: float | None
    governor: str


def text(path: Path) -> str:
    """The file's text, stripped of white space and zero bytes; empty if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\n")
    except OSError:  # also while reading: a sleeping sensor answers "Resource temporarily unavailable"
        return ""


def number(path: Path, scale: float = 1.0) -> float | None:
    """The number in the file times `scale`; None if the file holds no number."""
    try:
        return float(text(path)) * scale
    except ValueError:
        return None


def hwmons(root: Path, *names: str) -> Iterator[Path]:
    """The folders of the kernel's hardware monitors with these names (Documentation/hwmon/sysfs-interface.rst)."""
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if text(folder / "name") in names:
            yield folder


def vcgencmd(*arguments: str, root: Path = Path("/")) -> str:
    """What a Raspberry Pi's firmware answers through the program `vcgencmd`; empty if it is missing, fails or hangs.

    https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd. It requires the group `video`. A call starts a
    process and takes some milliseconds, too long to make one every hop.
    """
    program = root / "usr/bin/vcgencmd"
    if not program.is_file():
        return ""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def read_temperatures(root: Path = Path("/")) -> dict[str, float]:
    """°C by type of thermal zone (Documentation/driver-api/thermal/sysfs-api.rst), and of x86's own sensors.

    The hottest of several zones of a type counts; zones that sleep or are off are left out.
    """
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
    """The highest temperature of the zones of these types, by default of all; None if unknown."""
    found = read_temperatures(root)
    return max((celsius for name, celsius in found.items() if name in zones or not zones), default=None)


def read_clocks(root: Path = Path("/")) -> tuple[Clock, ...]:
    """All clocks that Linux sets (Documentation/admin-guide/pm/cpufreq.rst); a virtual machine has none."""
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
    """The clock of all cores as a Raspberry Pi's firmware measures it (`frequency(48)=1800404352`); None if unknown.

    The firmware lowers the clock on its own, unseen by Linux.
    """
    found = re.search(r"=(\d+)", vcgencmd("measure_clock", "arm", root=root))
    return int(found[1]) / 1e6 if found else None


def mean_clock_mhz(root: Path = Path("/"), way: str = CPUFREQ) -> float | None:
    """The mean clock of the cores: the firmware's if `way` is `vcgencmd` and it answers, else that of Linux."""
    if way == FIRMWARE and (measured := firmware_mhz(root)) is not None:
        return measured
    known = [(clock.now_mhz, max(1, len(clock.cores))) for clock in read_clocks(root) if clock.now_mhz is not None]
    return sum(mhz * cores for mhz, cores in known) / sum(cores for _, cores in known) if known else None


def read_flags(root: Path = Path("/"), ways: Collection[str] = THROTTLING_WAYS) -> tuple[Flag, ...]:
    """All that slows the board, or did, each once; empty if nothing does, or if the machine does not report it."""
    readers = {
        "get_throttled": _get_throttled,
        "rpi_volt": _rpi_volt,
        "soctherm_oc": _soctherm_oc,
        "cooling": _cooling,
        "thermal_throttle": _thermal_throttle,
    }
    return tuple(dict.fromkeys(flag for way in THROTTLING_WAYS if way in ways for flag in readers[way](root)))


def _get_throttled(root: Path) -> Iterator[Flag]:
    """The bits of a Raspberry Pi's firmware, for now and since the start (`throttled=0x50005`).

    https://www.raspberrypi.com/documentation/computers/os.html#get_throttled. Older kernels of Pi OS have a file of
    that name. It is not read: reading it logs a kernel warning with a backtrace, and it is gone since 2025
    (raspberrypi/linux#6697).
    """
    found = re.search(r"throttled=0x([0-9a-f]+)", vcgencmd("get_throttled", root=root))
    bits = int(found[1], 16) if found else 0
    for place, code in enumerate(_BITS):
        if bits >> place & 1:
            yield Flag(code, now=True)
        elif bits >> (16 + place) & 1:
            yield Flag(code, now=False)


def _rpi_volt(root: Path) -> Iterator[Flag]:
    """The alarm of Linux' drivers/hwmon/raspberrypi-hwmon.c, which asks the firmware every 2 s."""
    if any(text(folder / "in0_lcrit_alarm") == "1" for folder in hwmons(root, "rpi_volt")):
        yield Flag(UNDER_VOLTAGE, now=True)


def _soctherm_oc(root: Path) -> Iterator[Flag]:
    """A Jetson Orin counts how often its power supply made it throttle.

    1 is too low a voltage, 2 too high an average current, 3 too high a momentary one (Jetson Linux Developer Guide,
    Platform Power and Performance, "Jetson Orin…", Over-Current Throttling).
    """
    for folder in hwmons(root, "soctherm_oc"):
        for name, code in _EVENTS.items():
            if count := number(folder / f"{name}_event_cnt"):
                yield Flag(code, now=False, count=int(count))


def _cooling(root: Path) -> Iterator[Flag]:
    """Linux lowers the clock while a zone is too hot (Documentation/driver-api/thermal/sysfs-api.rst).

    The state of the cooling device `cpufreq-cpu0` (`thermal-cpufreq-0` before Linux 5.12, `cpu-balanced` in L4T's 4.9)
    then differs from 0.
    """
    for device in (root / "sys/class/thermal").glob("cooling_device[0-9]*"):
        if text(device / "type").startswith(_COOLED) and number(device / "cur_state"):
            yield Flag(HOT, now=True)


def _thermal_throttle(root: Path) -> Iterator[Flag]:
    """x86 cores count how often heat slowed them (arch/x86/kernel/cpu/mce/therm_throt.c)."""
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    if count := sum(int(number(core) or 0) for core in cores):
        yield Flag(HOT, now=False, count=count)
