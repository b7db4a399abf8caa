"""Board, system, cores and accelerators, read from the files of real machines."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from edge_res.devices.machine import (
    Accelerator,
    Board,
    Cores,
    read_accelerators,
    read_board,
    read_cores,
    read_memory_bytes,
    read_system,
    stay_on,
)
from tests.devices.boards import device_tree, write, write_file

A76 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
A57 = "fp asimd evtstrm aes pmull sha1 sha2 crc32"
CARMEL = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp"
CORE = """processor\t: {number}
model name\t: ARMv8 Processor rev 1 (v8l)
BogoMIPS\t: 38.40
Features\t: {features}
CPU implementer\t: {implementer}
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: {part}
CPU revision\t: 1
"""
X86 = """processor\t: {number}
vendor_id\t: GenuineIntel
cpu family\t: 6
model name\t: Intel(R) N100
flags\t\t: fpu vme de pse sse sse2 avx fma avx2 bmi2 avx_vnni

"""


def cpuinfo(root: Path, *cores: tuple[str, str, str]) -> None:
    """/proc/cpuinfo of arm64 cores with implementer, part and features, and a Raspberry Pi's extra lines."""
    blocks = [
        CORE.format(number=number, implementer=implementer, part=part, features=features)
        for number, (implementer, part, features) in enumerate(cores)
    ]
    write_file(root / "proc/cpuinfo", "\n".join([*blocks, "Hardware\t: BCM2835\nModel\t\t: Some Board\n"]))


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        ([("0x41", "0xd0b", A76)] * 4, [Cores("Cortex-A76", (0, 1, 2, 3), ("asimd", "asimdhp", "asimddp"))]),
        ([("0x41", "0xd07", A57)] * 2, [Cores("Cortex-A57", (0, 1), ("asimd",))]),
        ([("0x4e", "0x004", CARMEL)], [Cores("Carmel", (0,), ("asimd", "asimdhp"))]),
        (
            [("0x41", "0xd07", A57), ("0x4e", "0x003", A57), ("0x4e", "0x003", A57), ("0x41", "0xd07", A57)],
            [Cores("Cortex-A57", (0, 3), ("asimd",)), Cores("Denver 2", (1, 2), ("asimd",))],
        ),
        ([("0x61", "0x022", A76 + " i8mm bf16")], [Cores("ARMv8 Processor rev 1 (v8l)", (0,), ())]),
    ],
)
def test_cores_of_arm(tmp_path: Path, cores: list[tuple[str, str, str]], expected: list[Cores]) -> None:
    cpuinfo(tmp_path, *cores)
    found = read_cores(tmp_path)
    if expected[0].features:
        assert list(found) == expected
    else:
        assert found[0].name == expected[0].name
        assert {"i8mm", "bf16"} <= set(found[0].features)


def test_cores_of_x86(tmp_path: Path) -> None:
    assert read_cores(tmp_path) == ()
    write_file(tmp_path / "proc/cpuinfo", "".join(X86.format(number=number) for number in range(4)))
    assert read_cores(tmp_path) == (Cores("Intel(R) N100", (0, 1, 2, 3), ("avx2", "fma", "avx_vnni")),)


def test_memory(tmp_path: Path) -> None:
    assert read_memory_bytes(tmp_path) is None
    write_file(tmp_path / "proc/meminfo", "MemTotal:         437508 kB\nMemFree:          201112 kB\n")
    assert read_memory_bytes(tmp_path) == 437508 * 1024


BOOKWORM = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
"""
JAMMY = 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nVERSION_ID="22.04"\nID=ubuntu\nVERSION_CODENAME=jammy\n'
R36 = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025"
)
R32 = (
    "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64, DATE: Sat Feb 19 17:05:08 UTC 2022"
)


def test_pi_os(tmp_path: Path) -> None:
    write(tmp_path, **{"etc__os-release": BOOKWORM, "proc__sys__kernel__osrelease": "6.12.47+rpt-rpi-2712\n"})
    found = read_system(tmp_path)
    assert (found.id, found.version, found.codename, found.is_pi_os) == ("debian", "12", "bookworm", False)
    assert str(found) == "Debian GNU/Linux 12 (bookworm), kernel 6.12.47+rpt-rpi-2712"
    write_file(tmp_path / "etc/rpi-issue", "Raspberry Pi reference 2025-10-01\n")
    assert read_system(tmp_path).is_pi_os
    assert "Raspberry Pi OS" in str(read_system(tmp_path))


@pytest.mark.parametrize(
    ("line", "l4t", "jetpack"), [(R36, "36.4.3", "6"), (R32, "32.7.1", "4"), ("# R99 (release)", "", "")]
)
def test_jetpack(tmp_path: Path, line: str, l4t: str, jetpack: str) -> None:
    write(tmp_path, **{"etc__os-release": JAMMY, "etc__nv_tegra_release": line})
    found = read_system(tmp_path)
    assert (found.name, found.l4t, found.jetpack) == ("Ubuntu 22.04.5 LTS", l4t, jetpack)
    assert (f"JetPack {jetpack} (L4T {l4t})" in str(found)) == bool(l4t)


def test_a_system_without_any_files(tmp_path: Path) -> None:
    found = read_system(tmp_path)
    assert (found.name, found.l4t, found.bits) == ("", "", 64)
    assert str(found).startswith("Linux, kernel ")


def test_the_name_of_a_board(tmp_path: Path) -> None:
    assert read_board(tmp_path) == Board()
    assert read_board(tmp_path).name == ""
    names = {"sys_vendor": "ASUSTeK COMPUTER INC.\n", "product_name": "PN42\n"}
    write(tmp_path, **{f"sys__class__dmi__id__{name}": value for name, value in names.items()})
    assert read_board(tmp_path).name == "ASUSTeK COMPUTER INC. PN42"
    assert (
        read_board(device_tree(tmp_path, "Raspberry Pi 5 Model B Rev 1.0", "")).name == "Raspberry Pi 5 Model B Rev 1.0"
    )


def bus(root: Path, name: str, place: str, **values: str) -> None:
    for file, value in values.items():
        write_file(root / f"sys/bus/{name}/devices" / place / file, value + "\n")


def test_accelerators(tmp_path: Path) -> None:
    assert read_accelerators(tmp_path) == ()
    bus(tmp_path, "pci", "0000:00:1f.3", vendor="0x8086", device="0x54c8", **{"class": "0x040380"})
    bus(tmp_path, "pci", "0000:01:00.0", vendor="0x10de", device="0x2503", **{"class": "0x030000"})
    bus(tmp_path, "pci", "0000:01:00.1", vendor="0x10de", device="0x228e", **{"class": "0x040300"})  # its sound
    bus(tmp_path, "pci", "0000:03:00.0", vendor="0x1ac1", device="0x089a", **{"class": "0x0880ff"})
    bus(tmp_path, "pci", "0001:01:00.0", vendor="0x1e60", device="0x2864", **{"class": "0x0b4000"})
    bus(tmp_path, "usb", "1-1", idVendor="1a6e", idProduct="089a")
    bus(tmp_path, "usb", "1-2", idVendor="0d8c", idProduct="0014")
    bus(tmp_path, "usb", "2-1", idVendor="18d1", idProduct="9302")
    write_file(tmp_path / "dev/nvhost-gpu", "")
    assert read_accelerators(tmp_path) == (
        Accelerator("NVIDIA GPU", "PCI 0000:01:00.0"),
        Accelerator("Coral Edge TPU", "PCI 0000:03:00.0"),
        Accelerator("Hailo", "PCI 0001:01:00.0"),
        Accelerator("Coral Edge TPU", "USB 1-1"),
        Accelerator("Coral Edge TPU", "USB 2-1"),
        Accelerator("NVIDIA GPU of the SoC", "/dev/nvhost-gpu"),
    )
    driver = "Model: \t\t NVIDIA GeForce RTX 3060\nIRQ:   \t\t 16\n"
    write_file(tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information", driver)
    assert read_accelerators(tmp_path)[0].name == "NVIDIA GeForce RTX 3060"


def test_cores_that_are_missing_are_reported() -> None:
    before = os.sched_getaffinity(0)
    assert stay_on(()) is None
    assert stay_on((max(before) + 1,)) == (
        f"none of the cores {max(before) + 1} named in the device file is available; using all cores"
    )
    assert os.sched_getaffinity(0) == before


def test_threads_that_run_already_are_moved_too() -> None:
    before = os.sched_getaffinity(0)
    found: list[set[int]] = []
    moved, done = threading.Event(), threading.Event()

    def look() -> None:
        moved.wait(10)
        found.append(os.sched_getaffinity(0))
        done.set()

    threading.Thread(target=look).start()
    try:
        assert stay_on((max(before),)) == f"running on the cores {max(before)} only"
        moved.set()
        assert done.wait(10)
    finally:
        moved.set()
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):  # it has ended since
                os.sched_setaffinity(int(thread.name), before)
    assert found == [{max(before)}]
