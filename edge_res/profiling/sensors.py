"""A device's own sensors, read in the form that a profile keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

from edge_res.devices.files import Reads
from edge_res.devices.power import Counter, Rail, read_counters, read_rails, spent_j
from edge_res.devices.readings import Flag, hottest_c, mean_clock_mhz, read_flags
from edge_res.devices.schema import RAPL

_AGAIN_S = 0.9  # a reading may start programs (vcgencmd), which must not disturb the measurement


@dataclass(frozen=True)
class Sensed:
    """A reading: the hottest zone, the cores' mean clock, what slows them now, the power of all rails; or None."""

    temperature_c: float | None = None
    clock_mhz: float | None = None
    throttled: tuple[str, ...] = ()
    power_w: float | None = None


class Sensors(Protocol):
    """What an `Observer` reads."""

    rail: str  # what `power_w` is measured at, "" without a rail

    def read(self) -> Sensed: ...


class NoSensors:
    """A machine without sensors."""

    rail = ""

    def read(self) -> Sensed:
        return Sensed()


class BoardSensors:
    """The sensors that a device file names, read about once a second at most; in between the last reading holds."""

    def __init__(self, reads: Reads, root: Path = Path("/"), clock: Callable[[], float] = monotonic) -> None:
        self._reads, self._root, self._now_s = reads, root, clock
        self._power = power_meter(reads, root, clock)
        self.rail = self._power.rail
        self._flags: Sequence[Flag] = read_flags(root, reads.throttling)
        self._read_at_s = float("-inf")
        self._last = Sensed()

    def read(self) -> Sensed:
        if self._now_s() - self._read_at_s >= _AGAIN_S:
            self._read_at_s = self._now_s()
            self._last = Sensed(
                temperature_c=hottest_c(self._root, self._reads.temperature),
                clock_mhz=mean_clock_mhz(self._root, self._reads.clock),
                throttled=self._throttled(),
                power_w=self._power.read_w(),
            )
        return self._last

    def _throttled(self) -> tuple[str, ...]:
        """What slows the processor now or did since the last reading; older flags since the start do not count."""
        before, self._flags = self._flags, read_flags(self._root, self._reads.throttling)
        return tuple(dict.fromkeys(flag.what for flag in self._flags if flag.now or flag not in before))


class PowerMeter(Protocol):
    """Power in W at a `rail`, None if unknown."""

    rail: str

    def read_w(self) -> float | None: ...


class RailMeter:
    """The sum of the rails with these names; without names, of all."""

    def __init__(self, read: Callable[[], Sequence[Rail]], names: Sequence[str], way: str) -> None:
        self._read, self._names = read, names
        found = [rail.name for rail in self._chosen()]
        self.rail = f"{way}: {' + '.join(found)}" if found else ""

    def read_w(self) -> float | None:
        rails = self._chosen()
        return sum(rail.power_w for rail in rails) if rails else None

    def _chosen(self) -> list[Rail]:
        return [rail for rail in self._read() if not self._names or rail.name in self._names]


class CounterMeter:
    """The mean power since the last reading, for processors that count their energy."""

    def __init__(self, read: Callable[[], Sequence[Counter]], clock: Callable[[], float]) -> None:
        self._read, self._now_s = read, clock
        self._last, self._at_s = read(), clock()
        self.rail = f"{RAPL}: {' + '.join(counter.name for counter in self._last)}" if self._last else ""

    def read_w(self) -> float | None:
        before, since_s = self._last, self._at_s
        self._last, self._at_s = self._read(), self._now_s()
        if self._at_s <= since_s or not self._last or len(before) != len(self._last):
            return None
        return sum(map(spent_j, before, self._last)) / (self._at_s - since_s)


def power_meter(reads: Reads, root: Path, clock: Callable[[], float]) -> PowerMeter:
    """The power meter that the device file names; it may find no rail."""
    if reads.power == RAPL:
        return CounterMeter(lambda: read_counters(root), clock)
    return RailMeter(lambda: read_rails(root, reads.power), reads.rails, reads.power)


def open_sensors(reads: Reads, root: Path = Path("/")) -> Sensors:
    """The sensors of this machine that a device file names."""
    return BoardSensors(reads, root)
