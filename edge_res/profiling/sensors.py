"""What a device's own sensors say, in the form that a profile keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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


def open_sensors() -> Sensors:
    """What this machine can be asked."""
    return NoSensors()
