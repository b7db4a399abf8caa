"""The machine while a run is measured, watched from another process: load, limits, clocks, temperature, power.

All of it is read from files of Linux; `root` is `/`, or a copy of such files in a test. What is unknown is None.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from edge_res.profiling.judge import Conditions
from edge_res.profiling.sensors import Sensed, Sensors

_TICKS_HZ = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Instant:
    """The machine at one time: counters of seconds and events since their start, and a reading of its sensors."""

    at_s: float
    busy_s: float | None  # of all cores
    ours_s: float  # of that, by the measured process and this one
    stopped: int
    sensed: Sensed


class Observer:
    """Looks at the machine with its sensors."""

    def __init__(self, sensors: Sensors, root: Path = Path("/")) -> None:
        self._sensors = sensors
        self._root = root

    def look(self, ours: Sequence[int]) -> Instant:
        """The machine now; `ours` are the processes whose load does not count as a disturbance."""
        return Instant(
            at_s=monotonic(),
            busy_s=busy_s(self._root),
            ours_s=sum(process_s(self._root, pid) for pid in ours),
            stopped=stopped(self._root),
            sensed=self._sensors.read(),
        )


def conditions(seen: Sequence[Instant], wait_share: float | None, reference_us: float | None = None) -> Conditions:
    """What happened between the first and the last instant of a phase."""
    first, last = seen[0], seen[-1]
    wall_s = last.at_s - first.at_s
    others = None
    if first.busy_s is not None and last.busy_s is not None and wall_s > 0:
        others = max(0.0, round((last.busy_s - first.busy_s - (last.ours_s - first.ours_s)) / wall_s, 3))
    sensed = [instant.sensed for instant in seen]
    within = [one for one in sensed if one is not sensed[0]] or sensed  # the first may belong to the phase before
    powers = [one.power_w for one in within if one.power_w is not None]
    return Conditions(
        others_cores=others,
        wait_share=None if wait_share is None else round(wait_share, 3),
        stopped=last.stopped - first.stopped,
        throttled=tuple(dict.fromkeys(sentence for one in sensed for sentence in one.throttled)),
        clocks_mhz=tuple(one.clock_mhz for one in sensed if one.clock_mhz is not None),
        temperatures_c=tuple(one.temperature_c for one in sensed if one.temperature_c is not None),
        power_w=round(sum(powers) / len(powers), 4) if powers else None,
        reference_us=reference_us,
    )


def busy_s(root: Path) -> float | None:
    """Seconds that all cores were busy since the start (proc(5), the first line without idle, iowait and guests).

    Time that the hypervisor gave to others (steal) counts as busy.
    """
    try:
        fields = (root / "proc/stat").read_text().splitlines()[0].split()
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    except (OSError, ValueError, IndexError):
        return None
    return (user + nice + system + irq + softirq + steal) / _TICKS_HZ


def process_s(root: Path, pid: int) -> float:
    """CPU seconds of a process and its threads (proc(5), utime and stime, after the name); 0 if it has ended."""
    try:
        fields = (root / "proc" / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_HZ
    except (OSError, ValueError, IndexError):
        return 0.0


def groups(root: Path, controller: str) -> list[Path]:
    """The folders of this process's control group and of its parents, version 1 or 2 (cgroups(7))."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, inside = line.split(":", 2)
        if controllers == "" or controller in controllers.split(","):
            top = root / "sys/fs/cgroup" / controllers
            here = top / inside.strip("/")
            found += [folder for folder in (here, *here.parents) if folder == top or top in folder.parents]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def stopped(root: Path) -> int:
    """How often a quota has stopped this process's control groups (`nr_throttled` in cpu.stat)."""
    count = 0
    for folder in groups(root, "cpu"):
        for line in _lines(folder / "cpu.stat"):
            name, _, value = line.partition(" ")
            count += int(value) if name == "nr_throttled" and value.isdecimal() else 0
    return count


def limits(root: Path = Path("/")) -> dict[str, float | int]:
    """The limits of this process's control groups: `cores`, `memory_bytes`; without a limit the key is missing."""
    cores, memory = [], []
    for folder in groups(root, "cpu"):
        quota, _, period = " ".join(_lines(folder / "cpu.max")).partition(" ")  # version 2
        quota = quota or "".join(_lines(folder / "cpu.cfs_quota_us"))
        period = period or "".join(_lines(folder / "cpu.cfs_period_us"))
        if quota.isdecimal() and period.isdecimal():
            cores.append(int(quota) / int(period))
    for folder in groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            value = "".join(_lines(folder / name))
            if value.isdecimal() and int(value) < 1 << 60:  # version 1 writes a huge number if there is no limit
                memory.append(int(value))
    return {**({"cores": min(cores)} if cores else {}), **({"memory_bytes": min(memory)} if memory else {})}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
