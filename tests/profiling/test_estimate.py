from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from edge_res.errors import ModelError
from edge_res.model.bundle import Bundle, read_bundle
from edge_res.profiling.estimate import (
    Estimate,
    Measurement,
    Peaks,
    Work,
    calibrated,
    copied_bytes_s,
    estimate,
    measurements,
    peaks_here,
    work_of,
)
from tests.profiling.rows import FAILED, report, row

PEAKS = Peaks("a-board", 1.5e9, 12e9, 12e9, 4e9)
WORK = Work(macs=3_000_000, ops=100, moved_bytes=400_000, front_end_flops=250_000)


def test_the_interval_is_that_of_the_shares() -> None:
    found = estimate(WORK, PEAKS, "step")
    low = 100_000 / 1.5e9 + 250_000 / (0.4 * 12e9) + 100 * 150 / 1.5e9 + 3e6 / (0.85 * 12e9)
    high = 2_000_000 / 1.5e9 + 250_000 / (0.03 * 12e9) + 100 * 3000 / 1.5e9 + 3e6 / (0.10 * 12e9)
    assert found.low_us == pytest.approx(1e6 * low, rel=0.01)
    assert found.high_us == pytest.approx(1e6 * high, rel=0.01)
    assert found.likely_us == pytest.approx(1e6 * (low * high) ** 0.5, rel=0.01)
    assert found.calibrated == ""


def test_slow_memory_counts_instead_of_computing() -> None:
    slow = estimate(WORK, replace(PEAKS, memory_bytes_s=4e6), "step")
    assert slow.low_us == pytest.approx(estimate(WORK, PEAKS, "step").low_us - 294 + 125_000, rel=0.01)


@pytest.mark.parametrize("field", ["macs", "ops", "moved_bytes", "front_end_flops"])
def test_more_work_takes_longer(field: str) -> None:
    more: dict[str, Any] = {field: 1000 * getattr(WORK, field)}
    one, two = estimate(WORK, PEAKS, "step"), estimate(replace(WORK, **more), PEAKS, "step")
    assert two.low_us > one.low_us
    assert two.high_us > one.high_us


def test_the_work_of_a_bundle() -> None:
    bundle = read_bundle("tiny")
    found = work_of([bundle])
    network = bundle.manifest.network
    assert found["step"].macs == network["macs_hop"]
    assert found["window"].macs == network["macs_window"]
    assert found["step"].ops > found["window"].ops > 20  # a step also splits and joins its states
    assert found["window"].moved_bytes > found["step"].moved_bytes > network["parameters"]
    assert found["step"].front_end_flops == found["window"].front_end_flops > 0
    twice = work_of([bundle, bundle])
    assert asdict(twice["step"]) == {name: 2 * value for name, value in asdict(found["step"]).items()}


def test_a_bundle_without_its_macs() -> None:
    bundle = read_bundle("tiny")
    with pytest.raises(ModelError, match="lacks macs_hop, which an estimate requires"):
        work_of([Bundle(replace(bundle.manifest, network={}), bundle.files)])


def measured(ratio: float, device: str = "a-board") -> Measurement:
    return Measurement(device, "step", 200 * ratio, Estimate(device, "step", 100, 200, 400))


def test_calibration_moves_and_narrows() -> None:
    expected = Estimate("a-board", "step", 100, 400, 1600)
    assert calibrated(expected, []) == expected
    same = calibrated(expected, [measured(1.4), measured(1.6), measured(9.0, "another")])
    assert same.likely_us == pytest.approx(400 * (1.4 * 1.6) ** 0.5, abs=0.1)
    assert same.high_us / same.low_us == pytest.approx(1.3**2, rel=0.01)
    assert same.calibrated == "2 measured on a-board"
    other = calibrated(expected, [measured(0.5, "another"), measured(0.5, "a third")])
    assert other.likely_us == 200
    assert (other.low_us, other.high_us) == (100, 400)
    assert other.calibrated == "2 measured on a third, another"


def test_a_single_other_device_moves_without_narrowing() -> None:
    expected = Estimate("a-board", "step", 100, 400, 1600)
    for found in ([measured(0.5, "another")], [measured(0.5, "another"), measured(0.5, "another")]):
        moved = calibrated(expected, found)
        assert (moved.low_us, moved.likely_us, moved.high_us) == (50, 200, 800)


def test_disagreeing_figures_do_not_narrow() -> None:
    expected = Estimate("a-board", "step", 100, 400, 1600)
    found = calibrated(expected, [measured(0.5), measured(2.0)])
    assert found.high_us / found.low_us == pytest.approx(4.0, rel=0.01)
    found = calibrated(expected, [measured(0.01), measured(100.0)])
    assert found.high_us / found.low_us == pytest.approx(16.0, rel=0.01)


def test_only_stable_figures_of_known_devices_count() -> None:
    body = report(
        row(p50_us=500.0),
        row(mode="window", verdict="noisy"),
        row("onnxruntime"),
        row(threads=2),
        FAILED,
        work={"step": asdict(WORK), "window": asdict(WORK)},
    )
    body["device"]["file"] = "a-board"
    (one,) = measurements([body], {"a-board": PEAKS})
    assert one.measured_us == 500
    assert one.estimate == estimate(WORK, PEAKS, "step")
    assert measurements([body], {}) == []


@pytest.mark.parametrize("p50_us", [None, "fast", 0.0, -1.0, float("nan")])
def test_a_saved_profile_without_its_figure_does_not_count(p50_us: object) -> None:
    body = report(row(), work={"step": asdict(WORK)})
    body["device"]["file"] = "a-board"
    body["rows"][0]["p50_us"] = p50_us
    assert measurements([body], {"a-board": PEAKS}) == []


@pytest.mark.parametrize("works", [None, [], {"step": 3}, {"step": {}}, {"step": {**asdict(WORK), "ops": "many"}}])
def test_a_saved_profile_without_its_work_does_not_count(works: object) -> None:
    body = report(row(), work=works)
    body["device"]["file"] = "a-board"
    assert measurements([body], {"a-board": PEAKS}) == []


def test_a_saved_profile_of_a_later_version_counts_despite_more_fields() -> None:
    body = report(row(), work={"step": {**asdict(WORK), "states": 14}})
    body["device"]["file"] = "a-board"
    assert len(measurements([body], {"a-board": PEAKS})) == 1


X86 = "processor\t: 0\nmodel name\t: a processor\ncpu MHz\t\t: 2300.000\nflags\t\t: fpu avx2 avx512_vnni\n\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd03\n\nprocessor\t: 1\nFeatures\t: fp asimd asimddp\n\n"


def tree(root: Path, cpuinfo: str, **mhz: int) -> Path:
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(cpuinfo)
    for policy, value in mhz.items():
        folder = root / "sys/devices/system/cpu/cpufreq" / policy
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(f"{value * 1000}\n")
    return root


@pytest.mark.parametrize(
    ("cpuinfo", "mhz", "clock_mhz", "macs", "flops"),
    [
        (X86, {}, 2300, 128, 64),
        (X86, {"policy0": 3500}, 3500, 128, 64),
        (X86.replace(" avx512_vnni", ""), {}, 2300, 32, 32),
        (ARM, {"policy0": 1500, "policy1": 2000}, 2000, 32, 16),  # the fastest of both kinds of cores
        (ARM.replace(" asimddp", ""), {"policy0": 1500}, 1500, 8, 8),
    ],
)
def test_features_times_clock(
    tmp_path: Path, cpuinfo: str, mhz: dict[str, int], clock_mhz: int, macs: int, flops: int
) -> None:
    found = peaks_here("generic", tree(tmp_path, cpuinfo, **mhz))
    assert found
    assert (found.device, found.clock_hz) == ("generic", clock_mhz * 1e6)
    assert found.int8_macs_s == macs * found.clock_hz
    assert found.fp32_flops_s == flops * found.clock_hz


@pytest.mark.parametrize("cpuinfo", ["", X86.replace("avx", "x"), ARM, X86.replace("cpu MHz", "")])
def test_a_machine_with_unknown_features_or_clock(tmp_path: Path, cpuinfo: str) -> None:
    assert peaks_here("generic", tree(tmp_path, cpuinfo)) is None
    assert peaks_here("generic", tmp_path / "nothing") is None


def test_a_copy_takes_some_time() -> None:
    assert 1e6 < copied_bytes_s() < 1e13
