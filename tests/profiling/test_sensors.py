"""Sensors that are read repeatedly: how often, what is new, and the power from a counter."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_res.devices.files import Reads
from edge_res.profiling.sensors import BoardSensors, Sensed


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def firmware(root: Path, bits: str) -> None:
    write(root / "usr/bin/vcgencmd", f"#!/bin/sh\necho throttled={bits}\n")
    (root / "usr/bin/vcgencmd").chmod(0o755)


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_machine_without_sensors(tmp_path: Path, time: Time) -> None:
    for power in ("none", "ina3221", "pmic", "rapl"):
        sensors = BoardSensors(Reads(power=power), tmp_path, time)
        assert sensors.rail == ""
        assert sensors.read() == Sensed()


def test_within_a_second_nothing_is_read_again(tmp_path: Path, time: Time) -> None:
    path = tmp_path / "sys/class/thermal/thermal_zone0/temp"
    write(path, "50000")
    sensors = BoardSensors(Reads(), tmp_path, time)
    assert sensors.read().temperature_c == 50
    write(path, "60000")
    time.now_s += 0.5
    assert sensors.read().temperature_c == 50
    time.now_s += 0.5
    assert sensors.read().temperature_c == 60


def test_throttling_before_the_run_does_not_count(tmp_path: Path, time: Time) -> None:
    folder = tmp_path / "sys/class/hwmon/hwmon0"
    write(folder / "name", "soctherm_oc")
    write(folder / "oc1_event_cnt", "5")
    firmware(tmp_path, "0x40000")
    sensors = BoardSensors(Reads(), tmp_path, time)
    assert sensors.read().throttled == ()
    time.now_s += 1
    write(folder / "oc1_event_cnt", "6")
    firmware(tmp_path, "0x60000")
    assert sensors.read().throttled == ("the firmware caps the clock", "the supply voltage is too low")
    time.now_s += 1
    assert sensors.read().throttled == ()
    time.now_s += 1
    firmware(tmp_path, "0x60004")
    assert sensors.read().throttled == ("the firmware throttles the processor",)


def test_the_power_from_a_counter_is_its_mean_since_the_last_reading(tmp_path: Path, time: Time) -> None:
    folder = tmp_path / "sys/class/powercap/intel-rapl:0"
    for name, value in (("name", "package-0"), ("max_energy_range_uj", "100000000"), ("energy_uj", "90000000")):
        write(folder / name, value)
    sensors = BoardSensors(Reads(power="rapl"), tmp_path, time)
    assert sensors.rail == "rapl: package-0"
    assert sensors.read().power_w is None  # no time has passed
    time.now_s += 2
    write(folder / "energy_uj", "96000000")
    assert sensors.read().power_w == pytest.approx(3)
    time.now_s += 1
    write(folder / "energy_uj", "1000000")
    assert sensors.read().power_w == pytest.approx(5)
    time.now_s += 1
    (folder / "energy_uj").unlink()
    assert sensors.read().power_w is None


def test_only_the_rails_named_in_the_file_count(tmp_path: Path, time: Time) -> None:
    folder = tmp_path / "sys/class/hwmon/hwmon3"
    values = {"name": "ina3221", "in1_label": "A", "in1_input": "5000", "curr1_input": "200"}
    for name, value in {**values, "in2_label": "B", "in2_input": "5000", "curr2_input": "100"}.items():
        write(folder / name, value)
    every = BoardSensors(Reads(power="ina3221"), tmp_path, time)
    assert every.rail == "ina3221: A + B"
    assert every.read().power_w == pytest.approx(1.5)
    one = BoardSensors(Reads(power="ina3221", rails=("B", "C")), tmp_path, time)
    assert one.rail == "ina3221: B"
    assert one.read().power_w == pytest.approx(0.5)
