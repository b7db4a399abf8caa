"""What this machine can do at most, by its own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_res.profiling.peaks import copied_bytes_s, peaks_here

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
        (ARM, {"policy0": 1500, "policy1": 2000}, 2000, 32, 16),  # the fastest cores of both kinds
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
def test_a_machine_that_does_not_tell(tmp_path: Path, cpuinfo: str) -> None:
    assert peaks_here("generic", tree(tmp_path, cpuinfo)) is None
    assert peaks_here("generic", tmp_path / "nothing") is None


def test_a_copy_takes_some_time() -> None:
    assert 1e6 < copied_bytes_s() < 1e13
