"""What a device can do at most, by the table `[peaks]` of its file: of one core, for one thread."""

from __future__ import annotations

from pathlib import Path

from edge_res.devices import DeviceProfile, known_profiles, load_profile
from edge_res.profiling.estimate import Peaks


def all_peaks() -> dict[str, Peaks]:
    """Of the devices that come along and of the user's, those whose files have such a table."""
    found = (peaks_of(load_profile(name)) for name in known_profiles())
    return {peaks.device: peaks for peaks in found if peaks is not None}


def read_peaks(path: Path) -> Peaks | None:
    """Of one file, None where it has no such table; what is wrong with the file is a `ConfigError`."""
    return peaks_of(load_profile(path))


def peaks_of(device: DeviceProfile) -> Peaks | None:
    peaks = device.peaks
    if peaks is None:
        return None
    return Peaks(
        device.name, peaks.clock_mhz * 1e6, peaks.int8_gmacs * 1e9, peaks.fp32_gflops * 1e9, peaks.memory_gbs * 1e9
    )
