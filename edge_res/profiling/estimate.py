"""What a hop may take on a device that is not at hand: an ESTIMATE, an interval, never a measurement.

The hop is the sum of the host's work (Python, NumPy), the front-end and the engine. Each is the work to do over the
device's peak, times the share of the peak that real programs reach; the two ends of the interval are the two ends of
that share. `docs/explanation/profile.md` explains where the shares come from. Peaks come from the table `[peaks]` of a
device file, or from this machine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edge_res.choices import MODES
from edge_res.devices import DeviceFile, known_devices, load_device
from edge_res.devices.files import usable
from edge_res.devices.machine import read_cores
from edge_res.devices.readings import read_clocks
from edge_res.engines import load_engine
from edge_res.errors import ModelError
from edge_res.model.bundle import Bundle
from edge_res.model.models import load_runner

# Best and worst case; the worst covers cold caches, in-order cores and slow memory.
HOST_CYCLES = (100_000, 2_000_000)  # per hop, for Python and NumPy calls
DISPATCH_CYCLES = (150, 3000)  # per operator
INT8_SHARE = (0.85, 0.10)  # of the peak
FP32_SHARE = (0.40, 0.03)  # of the peak: FFT and small matrices
BANDWIDTH_SHARE = (0.8, 0.2)  # of the peak
_SAME, _OTHER = 1.3, 2.0  # least factor of a calibrated interval, if measured on the same device or on others
# int8 multiply-adds and fp32 operations per cycle of a core with a feature; the first one that it has counts. x86 cores
# are assumed to have two units of that width: VPDPBUSD is 4 multiply-adds per 32-bit lane, VPMADDWD 2, FMA 2 operations
# (Intel 64 and IA-32 Architectures Optimization Reference Manual). Arm as in the files of the Raspberry Pi 5 and 4.
_CYCLE = {
    "avx512_vnni": (128, 64),
    "avx_vnni": (64, 32),
    "avx2": (32, 32),
    "asimddp": (32, 16),
    "asimd": (8, 8),
}
_COPIED_BYTES, _COPIES = 16 << 20, 5


@dataclass(frozen=True)
class Work:
    """The work of a hop: the model's int8 multiply-adds, its operators, the bytes they move, the front-end's flops."""

    macs: int
    ops: int
    moved_bytes: int
    front_end_flops: int


@dataclass(frozen=True)
class Peaks:
    """Upper bounds for one thread on one core of a device."""

    device: str
    clock_hz: float
    int8_macs_s: float
    fp32_flops_s: float
    memory_bytes_s: float


@dataclass(frozen=True)
class Estimate:
    """Microseconds of a hop on one thread: the interval and its geometric mean; `calibrated` says by what."""

    device: str
    mode: str
    low_us: float
    likely_us: float
    high_us: float
    calibrated: str = ""


@dataclass(frozen=True)
class Measurement:
    """A measured paced median, and the uncalibrated estimate of it."""

    device: str
    mode: str
    measured_us: float
    estimate: Estimate

    @property
    def ratio(self) -> float:
        return self.measured_us / self.estimate.likely_us


def estimate(work: Work, peaks: Peaks, mode: str) -> Estimate:
    """The estimate before any calibration."""
    low, high = (1e6 * _seconds(work, peaks, i) for i in (0, 1))
    return Estimate(peaks.device, mode, round(low, 1), round(math.sqrt(low * high), 1), round(high, 1))


def _seconds(work: Work, peaks: Peaks, end: int) -> float:
    """The best (0) or the worst (1) case; computing and moving overlap."""
    host = HOST_CYCLES[end] / peaks.clock_hz
    front_end = work.front_end_flops / (FP32_SHARE[end] * peaks.fp32_flops_s)
    computing = work.macs / (INT8_SHARE[end] * peaks.int8_macs_s)
    moving = work.moved_bytes / (BANDWIDTH_SHARE[end] * peaks.memory_bytes_s)
    return host + front_end + work.ops * DISPATCH_CYCLES[end] / peaks.clock_hz + max(computing, moving)


def work_of(bundles: Sequence[Bundle]) -> dict[str, Work]:
    """The work in each mode that all bundles have; operators and bytes are those of the TFLite models."""
    found = {}
    for mode in MODES:
        if all(f"{mode}.tflite" in bundle.files for bundle in bundles):
            parts = [_work(bundle, mode) for bundle in bundles]
            found[mode] = Work(
                *(sum(values) for values in zip(*(asdict(part).values() for part in parts), strict=True))
            )
    return found


def _work(bundle: Bundle, mode: str) -> Work:
    manifest = bundle.manifest
    params = manifest.front_end
    key = "macs_hop" if mode == "step" else "macs_window"
    macs = manifest.network.get(key)
    if type(macs) is not int:
        raise ModelError(
            f"The manifest of the bundle {manifest.name!r} lacks {key}, which an estimate requires; export it again."
        )
    runner: Any = load_runner(bundle, load_engine("litert"), mode)
    ops, moved_bytes = runner.work()
    fft = 2.5 * params.n_fft * math.log2(params.n_fft)
    filters = 2 * (params.n_fft // 2 + 1) * params.bins if params.kind == "log-mel" else 0
    return Work(macs, ops, moved_bytes, round(manifest.hop * params.channels * (fft + filters)))


def all_peaks() -> dict[str, Peaks]:
    """Peaks by device, of the bundled and the user's own device files that have them."""
    found = map(peaks_of, usable(known_devices()))
    return {peaks.device: peaks for peaks in found if peaks is not None}


def read_peaks(path: Path) -> Peaks | None:
    """The peaks in a device file, or None; raises `ConfigError` if the file is faulty."""
    return peaks_of(load_device(path))


def peaks_of(device: DeviceFile) -> Peaks | None:
    """The peaks of a device; None if its file has none."""
    peaks = device.peaks
    if peaks is None:
        return None
    return Peaks(
        device.name, peaks.clock_mhz * 1e6, peaks.int8_gmacs * 1e9, peaks.fp32_gflops * 1e9, peaks.memory_gbs * 1e9
    )


def peaks_here(device: str, root: Path = Path("/")) -> Peaks | None:
    """The peaks of this machine, for a device file without them: CPU features times clock, and memory by copying.

    None if features or clock are unknown.
    """
    cycles = [_CYCLE[feature] for cores in read_cores(root) for feature in _CYCLE if feature in cores.features]
    clock_hz = highest_clock_hz(root)
    if not cycles or clock_hz is None:
        return None
    macs, flops = max(cycles)
    return Peaks(device, clock_hz, macs * clock_hz, flops * clock_hz, copied_bytes_s())


def highest_clock_hz(root: Path) -> float | None:
    """The hardware's highest clock, else that in /proc/cpuinfo, which a virtual machine may exceed; or None."""
    found = [clock.hardware_mhz for clock in read_clocks(root) if clock.hardware_mhz]
    try:
        text = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    listed = re.findall(r"^cpu MHz\s*: ([\d.]+)", text, re.MULTILINE)
    return 1e6 * max(found or map(float, listed), default=0.0) or None


def copied_bytes_s() -> float:
    """Bytes per second that one core reads and writes when it copies more than its caches hold."""
    source, target, best_s = np.ones(_COPIED_BYTES, np.uint8), np.empty(_COPIED_BYTES, np.uint8), float("inf")
    for _ in range(_COPIES):
        started = perf_counter()
        np.copyto(target, source)
        best_s = min(best_s, perf_counter() - started)
    return 2 * _COPIED_BYTES / best_s


def measurements(reports: Iterable[Mapping[str, Any]], peaks: Mapping[str, Peaks]) -> list[Measurement]:
    """The rows of saved profiles that can be compared with an estimate: LiteRT, one thread, stable, a known device."""
    found = []
    for report in reports:
        here = peaks.get(str(report["device"].get("file")))
        for row in report["rows"]:
            if (row["engine"], row["threads"], row["verdict"]) != ("litert", 1, "stable") or here is None:
                continue
            work, p50_us = _saved_work(report["bundle"].get("work"), row["mode"]), row.get("p50_us")
            if work is not None and isinstance(p50_us, (int, float)) and p50_us > 0:
                found.append(Measurement(here.device, row["mode"], p50_us, estimate(work, here, row["mode"])))
    return found


def _saved_work(works: object, mode: str) -> Work | None:
    """The work of a mode in a report, which may hold more fields; None if one is missing."""
    saved = works.get(mode) if isinstance(works, dict) else None
    if not isinstance(saved, dict):
        return None
    values = [value for field in fields(Work) if type(value := saved.get(field.name)) is int]
    return Work(*values) if len(values) == len(fields(Work)) else None


def calibrated(expected: Estimate, measured: Sequence[Measurement]) -> Estimate:
    """The estimate moved by the measured ratios: those of the same device, if there are any, else those of all others.

    The interval becomes as narrow as these ratios agree, and never wider than before. A single other device moves the
    estimate without narrowing it, since it does not show how much devices differ.
    """
    same = [one for one in measured if one.device == expected.device]
    used = same or list(measured)
    if not used:
        return expected
    logs = [math.log(one.ratio) for one in used]
    middle = sum(logs) / len(logs)
    spread = widest = math.sqrt(expected.high_us / expected.low_us)
    if same or len({one.device for one in used}) > 1:
        agreed = max(_SAME if same else _OTHER, math.exp(max(abs(log - middle) for log in logs)))
        spread = min(agreed, widest)
    likely = expected.likely_us * math.exp(middle)
    names = ", ".join(sorted({one.device for one in used}))
    return replace(
        expected,
        low_us=round(likely / spread, 1),
        likely_us=round(likely, 1),
        high_us=round(likely * spread, 1),
        calibrated=f"{len(used)} measured on {names}",
    )
