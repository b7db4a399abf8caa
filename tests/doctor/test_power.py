"""Power supplies, clocks and power modes, on trees of boards' files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_res.doctor.power import (
    PERFORMANCE,
    check_governor,
    check_power_mode,
    check_supply,
    check_throttling,
    judge_governors,
    read_modes,
)

# Jetson Orin Nano 8GB Developer Kit Super, JetPack 6.2, /etc/nvpmodel.conf: the lines that name the modes, and one
# that a mode sets
NVPMODEL = """< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< POWER_MODEL ID=3 NAME=7W >
< PM_CONFIG DEFAULT=1 >
"""


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def firmware(root: Path, answer: str) -> None:
    write(root / "usr/bin/vcgencmd", f"#!/bin/sh\necho {answer}\n")
    (root / "usr/bin/vcgencmd").chmod(0o755)


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("50005", [("supply", "problem"), ("throttling", "problem")]),
        ("50000", [("supply", "warning"), ("throttling", "warning")]),
        ("80008", [("throttling", "problem")]),
    ],
)
def test_flags_of_a_raspberry_pi(bits: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    firmware(tmp_path, f"throttled=0x{bits}")
    found = list(check_throttling(tmp_path))
    assert [(one.what, one.severity) for one in found] == expected
    if expected[0][0] == "supply":
        assert "the supply voltage is too low; use the power supply made for this board" in found[0].sentence
    assert all(one.sentence.startswith("Now: " if one.severity == "problem" else "Since the start: ") for one in found)


def test_a_weak_supply_of_a_jetson(tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/hwmon/hwmon3"
    write(folder / "name", "soctherm_oc\n")
    for event, count in (("oc1", 0), ("oc2", 0), ("oc3", 4)):
        write(folder / f"{event}_event_cnt", f"{count}\n")
    (found,) = check_throttling(tmp_path)
    assert (found.what, found.severity) == ("supply", "warning")
    assert "choose a power mode that suits the supply" in found.sentence
    write(folder / "oc3_event_cnt", "0\n")
    assert [one.severity for one in check_throttling(tmp_path)] == ["ok"]


def test_a_raspberry_pi_at_full_speed(tmp_path: Path) -> None:
    firmware(tmp_path, "throttled=0x0")
    assert [one.severity for one in check_throttling(tmp_path)] == ["ok"]


def test_a_raspberry_pi_whose_firmware_does_not_answer_this_user(tmp_path: Path) -> None:
    write(tmp_path / "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    firmware(tmp_path, "VCHI initialization failed")
    (found,) = check_throttling(tmp_path)
    assert (found.severity, found.command) == ("unknown", "sudo usermod -aG video $USER")


def test_a_machine_without_flags_has_no_findings(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/dmi/id/product_name", "VirtualBox\n")
    assert list(check_throttling(tmp_path)) == []


def supply(root: Path, max_current_ma: int, full_usb: int) -> None:
    folder = root / "proc/device-tree/chosen/power"
    write(folder / "max_current", max_current_ma.to_bytes(4, "big"))
    write(folder / "usb_max_current_enable", full_usb.to_bytes(4, "big"))


def test_a_weak_supply_of_a_raspberry_pi_5(tmp_path: Path) -> None:
    supply(tmp_path, 3000, 0)
    (found,) = check_supply(tmp_path)
    assert found.severity == "warning"
    assert (
        "delivers 3000 mA, but this board requires 5000; its USB ports, including a microphone's, share 600 mA"
        in found.sentence
    )
    supply(tmp_path, 900, 1)
    (found,) = check_supply(tmp_path)
    assert "600" not in found.sentence


def test_the_right_supply(tmp_path: Path) -> None:
    supply(tmp_path, 5000, 1)
    assert [one.severity for one in check_supply(tmp_path)] == ["ok"]


def test_a_board_that_does_not_report_its_supply(tmp_path: Path) -> None:
    assert list(check_supply(tmp_path)) == []


def clusters(root: Path, governor: str, driver: str) -> None:
    for policy, cores in ((0, "0 1 2 3"), (4, "4 5")):
        folder = root / f"sys/devices/system/cpu/cpufreq/policy{policy}"
        for name, text in (("scaling_governor", governor), ("related_cpus", cores), ("scaling_driver", driver)):
            write(folder / name, f"{text}\n")


@pytest.mark.parametrize(
    ("governor", "driver", "severity"),
    [
        ("ondemand", "cpufreq-dt", "warning"),  # a Raspberry Pi's
        ("powersave", "cpufreq-dt", "warning"),
        ("conservative", "tegra194", "warning"),
        ("schedutil", "tegra194", "ok"),  # a Jetson's
        ("performance", "cpufreq-dt", "ok"),
        ("powersave", "intel_pstate", "ok"),
    ],
)
def test_governors(governor: str, driver: str, severity: str, tmp_path: Path) -> None:
    clusters(tmp_path, governor, driver)
    (found,) = check_governor(tmp_path)
    assert found.severity == severity
    assert governor in found.sentence
    assert found.command == (PERFORMANCE if severity == "warning" else "")


def test_a_machine_whose_clock_linux_does_not_set(tmp_path: Path) -> None:
    assert list(check_governor(tmp_path)) == []
    assert list(judge_governors([], "")) == []


def test_a_slower_power_mode_of_a_jetson(tmp_path: Path) -> None:
    write(tmp_path / "etc/nvpmodel.conf", NVPMODEL)
    write(tmp_path / "var/lib/nvpmodel/status", "pmode:0000 fmode:quiet\n")
    (found,) = check_power_mode(tmp_path)
    assert (found.severity, found.command) == ("warning", "sudo nvpmodel -m 2")
    assert "The power mode 15W uses fewer cores or a lower clock than MAXN_SUPER" in found.sentence
    write(tmp_path / "var/lib/nvpmodel/status", "pmode:0002 fmode:cool\n")
    assert [one.severity for one in check_power_mode(tmp_path)] == ["ok"]


def test_no_power_modes(tmp_path: Path) -> None:
    assert list(check_power_mode(tmp_path)) == []
    assert read_modes("") == {}
