"""What a device can do at most, of one core, for one thread: by the table `[peaks]` of its file, or of this machine."""

from __future__ import annotations

import re
from pathlib import Path
from time import perf_counter

import numpy as np

from edge_res.devices import DeviceProfile, known_profiles, load_profile
from edge_res.devices.clocks import read_clocks
from edge_res.devices.cores import read_cores
from edge_res.devices.profiles import usable
from edge_res.profiling.estimate import Peaks

# A cycle's int8 multiply-adds and fp32 flops of a core that has a feature; the first that it has counts. x86 cores are
# taken to have two units of that width: VPDPBUSD is 4 multiply-adds a lane of 32 bits, VPMADDWD 2, FMA 2 flops (Intel
# 64 and IA-32 Architectures Optimization Reference Manual). Arm's as in the files of a Raspberry Pi 5 and 4.
_CYCLE = {
    "avx512_vnni": (128, 64),
    "avx_vnni": (64, 32),
    "avx2": (32, 32),
    "asimddp": (32, 16),
    "asimd": (8, 8),
}
_COPIED_BYTES, _COPIES = 16 << 20, 5


def all_peaks() -> dict[str, Peaks]:
    """Of the devices that come along and of the user's, those whose files have such a table."""
    found = map(peaks_of, usable(known_profiles()))
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


def peaks_here(device: str, root: Path = Path("/")) -> Peaks | None:
    """Of this machine, whose file has no such table: features times clock, and memory as a copy finds it.

    None where it tells neither.
    """
    cycles = [_CYCLE[feature] for cores in read_cores(root) for feature in _CYCLE if feature in cores.features]
    clock_hz = highest_clock_hz(root)
    if not cycles or clock_hz is None:
        return None
    macs, flops = max(cycles)
    return Peaks(device, clock_hz, macs * clock_hz, flops * clock_hz, copied_bytes_s())


def highest_clock_hz(root: Path) -> float | None:
    """As the hardware has it, else as /proc/cpuinfo tells: a virtual machine's may be exceeded."""
    found = [clock.hardware_mhz for clock in read_clocks(root) if clock.hardware_mhz]
    try:
        told = re.findall(r"^cpu MHz\s*: ([\d.]+)", (root / "proc/cpuinfo").read_text(errors="replace"), re.MULTILINE)
    except OSError:
        told = []
    return 1e6 * max(found or map(float, told), default=0.0) or None


def copied_bytes_s() -> float:
    """Bytes a second that one core reads and writes when it copies more than its caches hold."""
    source, target, best_s = np.ones(_COPIED_BYTES, np.uint8), np.empty(_COPIED_BYTES, np.uint8), float("inf")
    for _ in range(_COPIES):
        started = perf_counter()
        np.copyto(target, source)
        best_s = min(best_s, perf_counter() - started)
    return 2 * _COPIED_BYTES / best_s
