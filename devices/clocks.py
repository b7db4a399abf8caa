"""The clocks of the cores, as Linux sets them (Documentation/admin-guide/pm/cpufreq.rst)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.files import number, text
from edge_res.devices.vcgencmd import vcgencmd
from edge_res.devices.ways import CPUFREQ, FIRMWARE

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
