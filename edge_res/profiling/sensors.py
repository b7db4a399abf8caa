"""What a device's own sensors say, in the form that a profile keeps."""

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

_AGAIN_S = 0.9  # a reading may start programs (vcgencmd), and what is measured must not feel it


@dataclass(frozen=True)
class Sensed:
    """One reading: the hottest zone, the mean clock of the cores, what slows them now, the power of all rails."""

    temperature_c: float | None = None
    clock_mhz: float | None = None
    throttled: tuple[str, ...] = ()
    power_w: float | None = None


class Sensors(Protocol):
    rail: str  # what the power is that of, "" where there is no rail

    def read(self) -> Sensed: ...


class NoSensors:
    """A machine that tells nothing of itself."""

    rail = ""

    def read(self) -> Sensed:
        return Sensed()


class BoardSensors:
    """The sensors that a device file names, asked about once a second at most: in between the last reading holds."""

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
        """What slows the processor now, or has since the last reading: of things since the start, what is new."""
        before, self._flags = self._flags, read_flags(self._root, self._reads.throttling)
        return tuple(dict.fromkeys(flag.what for flag in self._flags if flag.now or flag not in before))


class PowerMeter(Protocol):
    rail: str

    def read_w(self) -> float | None: ...


class RailMeter:
    """The sum of the rails of these names, of all where there are no names."""

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
    """The mean power since the last reading, of processors that count their energy."""

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
    """By the way that the device file names; one that finds no rail has none."""
    if reads.power == RAPL:
        return CounterMeter(lambda: read_counters(root), clock)
    return RailMeter(lambda: read_rails(root, reads.power), reads.rails, reads.power)


def open_sensors(reads: Reads, root: Path = Path("/")) -> Sensors:
    """What this machine can be asked, in the ways of a device file."""
    return BoardSensors(reads, root)
