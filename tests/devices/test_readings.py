"""What each board reports, read from a tree with the files that such a board has."""

from __future__ import annotations

from dataclasses import asdict, astuple
from pathlib import Path

import pytest

from edge_res.devices import known_devices, load_device
from edge_res.devices.power import Counter, Rail, read_counters, read_rails, spent_j
from edge_res.devices.readings import (
    CAPPED,
    HOT,
    OVER_CURRENT,
    SOFT_LIMIT,
    THROTTLED,
    UNDER_VOLTAGE,
    Clock,
    Flag,
    hottest_c,
    mean_clock_mhz,
    read_clocks,
    read_flags,
    read_temperatures,
    vcgencmd,
)
from edge_res.devices.schema import THROTTLING_WAYS
from edge_res.profiling.sensors import BoardSensors
from tests.devices.boards import hwmon, policy, program, write_file, zones
from tests.devices.readings import PMIC, PMIC_W, READINGS
from tests.devices.tegrastats import IIO, LINES, clocks, milliwatts, temperatures, tree


def test_no_device_file_is_without_readings() -> None:
    assert set(READINGS) == set(known_devices())


@pytest.mark.parametrize("name", READINGS)
def test_a_boards_sensors_are_read_as_its_file_says(tmp_path: Path, name: str) -> None:
    builders, flags, expected = READINGS[name]
    for build in builders:
        build(tmp_path)
    device = load_device(name)
    assert read_flags(tmp_path, device.reads.throttling) == flags
    sensors = BoardSensors(device.reads, tmp_path)
    found = asdict(sensors.read())
    assert found["throttled"] == expected.throttled
    for key in ("temperature_c", "clock_mhz", "power_w"):
        assert found[key] == pytest.approx(getattr(expected, key), abs=1e-4), key
    assert bool(sensors.rail) == (expected.power_w is not None)
    assert expected.power_w is None or all(rail in sensors.rail for rail in device.reads.rails)


def test_no_jetson_is_without_a_line_of_tegrastats() -> None:
    assert {name for name, _ in LINES} == {name for name in known_devices() if name.startswith("jetson-")}


@pytest.mark.parametrize(("name", "line"), LINES)
def test_a_jetson_reads_what_its_tegrastats_printed(tmp_path: Path, name: str, line: str) -> None:
    tree(tmp_path, line, iio=name in IIO)
    reads = load_device(name).reads
    watts = {rail: value / 1000 for rail, value in milliwatts(line)}
    assert set(reads.rails) <= set(watts)
    celsius = [value for zone, value in temperatures(line).items() if zone in reads.temperature]
    assert celsius
    assert max(celsius) < 100  # a zone of the power chip always reads the same
    found = BoardSensors(reads, tmp_path).read()
    assert found.temperature_c == pytest.approx(max(celsius))
    assert found.clock_mhz == pytest.approx(sum(clocks(line)) / len(clocks(line)))
    assert found.power_w == pytest.approx(sum(watts[rail] for rail in reads.rails))
    cores = sum(cluster.count for cluster in load_device(name).clusters)
    assert len(clocks(line)) == cores


@pytest.mark.parametrize(
    ("bits", "codes"),
    [
        ("0x0", []),
        ("0x1", [(UNDER_VOLTAGE, True)]),
        ("0x50000", [(UNDER_VOLTAGE, False), (THROTTLED, False)]),
        ("0x50005", [(UNDER_VOLTAGE, True), (THROTTLED, True)]),
        ("0x20002", [(CAPPED, True)]),
        ("0x80008", [(SOFT_LIMIT, True)]),
        ("0xe0006", [(CAPPED, True), (THROTTLED, True), (SOFT_LIMIT, False)]),
    ],
)
def test_the_bits_of_a_pis_firmware(tmp_path: Path, bits: str, codes: list[tuple[str, bool]]) -> None:
    program(tmp_path, get_throttled=f"throttled={bits}")
    assert read_flags(tmp_path) == tuple(Flag(code, now) for code, now in codes)


def test_a_program_that_fails_hangs_or_cannot_run_reports_nothing(tmp_path: Path) -> None:
    assert vcgencmd("get_throttled", root=tmp_path) == ""
    program(tmp_path, version="2024")
    assert read_flags(tmp_path) == ()  # `error=1 error_msg="Command not registered"`
    path = tmp_path / "usr/bin/vcgencmd"
    path.write_text("#!/bin/sh\necho VCHI initialization failed; exit 1\n")
    assert vcgencmd("get_throttled", root=tmp_path) == ""
    path.write_text("#!/bin/sh\nsleep 5; echo throttled=0x1\n")
    assert vcgencmd("get_throttled", root=tmp_path) == ""
    path.chmod(0o644)
    assert vcgencmd("get_throttled", root=tmp_path) == ""


def test_other_ways_to_read_throttling(tmp_path: Path) -> None:
    hwmon(tmp_path, 0, "rpi_volt", in0_lcrit_alarm="1")
    hwmon(tmp_path, 4, "soctherm_oc", oc1_event_cnt="0", oc2_event_cnt="15", oc3_event_cnt="37")
    write_file(tmp_path / "sys/class/thermal/cooling_device2/type", "cpufreq-cpu0\n")
    write_file(tmp_path / "sys/class/thermal/cooling_device2/cur_state", "4\n")
    for core, count in ((0, 3), (1, 4)):
        path = tmp_path / f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count"
        write_file(path, f"{count}\n")
    counted = (Flag(OVER_CURRENT, False, 15), Flag(OVER_CURRENT, False, 37))
    heat = Flag(HOT, True), Flag(HOT, False, 7)
    assert read_flags(tmp_path) == (Flag(UNDER_VOLTAGE, True), *counted, *heat)
    assert [str(flag) for flag in (*counted[:1], heat[0])] == [
        "since the start: the board draws more current than its power mode allows (15 times)",
        "now: heat lowers the clock",
    ]
    assert read_flags(tmp_path, ["cooling"]) == heat[:1]
    assert read_flags(tmp_path, THROTTLING_WAYS[-1:]) == heat[1:]


def test_an_alarm_of_another_monitor_is_ignored(tmp_path: Path) -> None:
    hwmon(tmp_path, 0, "nvme", in0_lcrit_alarm="1", oc1_event_cnt="7")
    assert read_flags(tmp_path) == ()


def test_an_alarm_reported_twice_appears_once(tmp_path: Path) -> None:
    program(tmp_path, get_throttled="throttled=0x10001")
    hwmon(tmp_path, 0, "rpi_volt", in0_lcrit_alarm="1")
    assert read_flags(tmp_path) == (Flag(UNDER_VOLTAGE, True),)


def test_clocks(tmp_path: Path) -> None:
    assert read_clocks(tmp_path) == ()
    assert mean_clock_mhz(tmp_path) is None
    policy(tmp_path, 10, "10", (800000, 115200, 1000000, 2000000), "powersave")
    policy(tmp_path, 2, "0 3 4 5", (2000000, 115200, 2035200, 2035200), "schedutil")
    assert read_clocks(tmp_path) == (
        Clock("policy2", (0, 3, 4, 5), 2000.0, 115.2, 2035.2, 2035.2, "schedutil"),
        Clock("policy10", (10,), 800.0, 115.2, 1000.0, 2000.0, "powersave"),
    )
    assert mean_clock_mhz(tmp_path) == pytest.approx((4 * 2000 + 800) / 5)
    assert mean_clock_mhz(tmp_path, "vcgencmd") == pytest.approx(1760)  # the program is missing
    program(tmp_path, measure_clock="frequency(48)=1500398464")
    assert mean_clock_mhz(tmp_path, "vcgencmd") == pytest.approx(1500.398464)
    assert mean_clock_mhz(tmp_path) == pytest.approx(1760)


def test_temperatures(tmp_path: Path) -> None:
    assert hottest_c(tmp_path) is None
    zones(tmp_path, AO_therm=41.5, CPU_therm=34.0, GPU_therm=31.0, PLL_therm=31.5, PMIC_Die=100.0)
    write_file(tmp_path / "sys/class/thermal/thermal_zone9/type", "gpu-thermal\n")  # asleep, cannot be read
    hwmon(tmp_path, 2, "k10temp", temp1_input="52125")
    assert read_temperatures(tmp_path)["PMIC-Die"] == 100
    write_file(tmp_path / "sys/class/thermal/thermal_zone10/type", "CV0-therm\n")
    write_file(tmp_path / "sys/class/thermal/thermal_zone10/temp", "-256000\n")  # switched off
    assert not {"gpu-thermal", "CV0-therm"} & set(read_temperatures(tmp_path))
    assert hottest_c(tmp_path, ("CPU-therm", "GPU-therm")) == 34
    assert hottest_c(tmp_path, ("k10temp",)) == 52.125
    assert hottest_c(tmp_path, ("cpu-thermal",)) is None
    assert hottest_c(tmp_path) == 100


def test_power_rails(tmp_path: Path) -> None:
    assert read_rails(tmp_path) == read_rails(tmp_path, "pmic") == read_rails(tmp_path, "none") == ()
    program(tmp_path, pmic_read_adc=f"{PMIC}\n    ORPHAN_A current(30)=1.00000000A")
    rails = read_rails(tmp_path, "pmic")
    assert len(rails) == 12  # EXT5V and BATT are voltages only
    assert rails[7].name == "VDD_CORE"
    assert rails[7].power_w == pytest.approx(10.87674 * 0.8974594)
    assert sum(rail.power_w for rail in rails) == pytest.approx(PMIC_W, abs=1e-4)
    hwmon(tmp_path, 3, "ina3221", in1_label="VDD_IN", in1_input="4984", curr1_input="1856", in2_label="VDD_SOC")
    hwmon(tmp_path, 4, "ina3221", in1_label="NC", in1_input="5000", curr1_input="8")
    assert read_rails(tmp_path) == (Rail("VDD_IN", 4.984 * 1.856),)
    assert read_rails(tmp_path, "rapl") == ()


def test_energy_counters(tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/powercap"
    for name, label in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:1", "psys")):
        write_file(folder / name / "name", label + "\n")
        write_file(folder / name / "max_energy_range_uj", "262143328850\n")
    write_file(folder / "intel-rapl:0/energy_uj", "260000000000\n")
    write_file(folder / "intel-rapl:0:0/energy_uj", "1\n")
    (counter,) = read_counters(tmp_path)  # the second cannot be read
    assert astuple(counter) == ("package-0", pytest.approx(260000.0), pytest.approx(262143.32885))
    assert spent_j(counter, Counter("package-0", 260010.0, 262143.32885)) == pytest.approx(10)
    assert spent_j(counter, Counter("package-0", 5.0, 262143.32885)) == pytest.approx(2148.32885)  # it wrapped around
