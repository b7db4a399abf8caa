"""A sensor of industrial I/O, on made-up trees: its buffer, its values one by one, unplugged and back."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block, Health
from edge_res.sources import Wanted
from edge_res.sources.iio import Iio
from edge_res.sources.iio.tree import write
from tests.sources.board import Heard, signal
from tests.sources.iio_tree import FakeIio

WANT = Wanted(1000, 3, 0.08, give_up_s=30.0)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[FakeIio]:
    made = FakeIio(tmp_path)
    yield made
    made.close()


def open_iio(device: FakeIio, text: str = "iio:bmi160", want: Wanted = WANT) -> Iio:
    return Iio(text, want, root=device.root)


def test_the_buffer_is_set_up_read_and_disabled(device: FakeIio) -> None:
    device.set("buffer/enable", "1")  # left so by a program that was killed
    with open_iio(device, "iio:bmi160?alarm=0.3") as source:
        assert (source.name, source.rate_hz, source.channels, source.unit) == ("iio:bmi160", 1000, 3, "m/s²")
        assert device.get("buffer/enable") == "1"
        assert device.get("buffer/length") == "2000"
        assert device.get("current_timestamp_clock") == "monotonic"
        assert [device.get(f"scan_elements/in_{name}_en") for name in ("accel_x", "timestamp")] == ["1", "1"]
        heard = Heard(source)
        for first in range(0, 3000, 100):
            device.send(first, 100)
        heard.until(lambda heard: heard.received == 3000)
        heard.until(lambda heard: heard.named == ["alarmed"])
    assert heard.lost == 0
    heard.check_places()
    heard.check_signal()
    assert device.get("buffer/enable") == "0"


def test_it_is_set_up_in_the_order_that_the_kernel_requires(device: FakeIio, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up: list[str] = []

    def note(path: Path, text: str, way_out: str = "") -> None:
        set_up.append(f"{path.name} {text}")
        write(path, text, way_out)

    monkeypatch.setattr("edge_res.sources.iio.readers.write", note)
    with open_iio(device):
        pass
    assert set_up[0] == "enable 0"  # nothing can be set while it runs
    assert set_up[-2:] == ["enable 1", "enable 0"]
    assert {"in_accel_x_en 1", "in_timestamp_en 1", "length 2000"} < set(set_up[1:-2])


def test_samples_from_before_the_start_are_dropped(device: FakeIio) -> None:
    source = open_iio(device)
    device.send(0, 100)
    with source:
        heard = Heard(source)
        device.send(100, 100)
        heard.until(lambda heard: heard.received == 100)
    heard.check_signal(100)


def test_channels_are_in_the_order_of_the_scan(device: FakeIio) -> None:
    for index, axis in enumerate("zxy"):
        device.set(f"scan_elements/in_accel_{axis}_index", str(index))
    with open_iio(device) as source:
        heard = Heard(source)
        os.write(device.fd, struct.pack(">H", 7 << 4) + struct.pack("<hi", -8, 9) + bytes(8))
        heard.until(lambda heard: heard.received == 1)
    assert heard.blocks[0][2].tolist() == [[7, -8, 9]]


def test_scans_may_be_split_anywhere(device: FakeIio) -> None:
    with open_iio(device) as source:
        heard = Heard(source)
        whole = os.dup(device.fd)
        inner, outer = os.pipe()
        os.dup2(outer, device.fd)
        device.send(0, 100)
        os.dup2(whole, device.fd)
        data = os.read(inner, 1 << 16)
        for fd in (whole, inner, outer):
            os.close(fd)
        for cut in range(0, len(data), 1000):  # no multiple of 24
            os.write(device.fd, data[cut : cut + 1000])
            time.sleep(0.015)
        heard.until(lambda heard: heard.received == 100)
    heard.check_signal()


def test_the_times_show_what_the_kernel_dropped(device: FakeIio) -> None:
    with open_iio(device) as source:
        heard = Heard(source)
        for first in range(0, 2000, 100):
            if first not in (300, 400, 1700):
                device.send(first, 100)
        heard.until(lambda heard: heard.received + heard.lost == 2000)
    assert heard.gaps == [200, 100]
    heard.check_places()
    heard.check_signal()


def test_a_device_that_comes_back_under_another_number_continues(device: FakeIio) -> None:
    with open_iio(device) as source:
        heard = Heard(source)
        device.send(0, 500)
        heard.until(lambda heard: heard.received == 500)
        device.unplug()
        heard.until(lambda heard: heard.named == ["recovering"])
        device.index = 3
        device.plug()
        device.send(1500, 500)  # 1000 were not sampled
        heard.until(lambda heard: heard.received == 1000)
        assert device.get("sampling_frequency") == "1000"  # as it was chosen of those on offer, not as it was found
    assert heard.gaps == [1000]
    assert heard.named == ["recovering", "healthy"]
    heard.check_places()
    heard.check_signal()


def test_without_times_the_clock_shows_an_outage(tmp_path: Path) -> None:
    device = FakeIio(tmp_path, stamped=False)
    with open_iio(device) as source:
        heard = Heard(source)
        device.send(0, 500)
        heard.until(lambda heard: heard.received == 500)
        began_s = time.monotonic()
        device.unplug()
        heard.until(lambda heard: heard.named == ["recovering"])
        device.plug()
        device.send(0, 200)
        heard.until(lambda heard: heard.received == 700)
        elapsed_s = time.monotonic() - began_s
    device.close()
    (lost,) = heard.gaps
    assert 1 <= lost <= 1000 * elapsed_s
    heard.check_places()


def test_a_device_that_stays_away_is_given_up(device: FakeIio) -> None:
    with open_iio(device, want=Wanted(1000, 3, 0.08, give_up_s=0.6)) as source:
        heard = Heard(source)
        device.send(0, 100)
        heard.until(lambda heard: heard.received == 100)
        device.unplug()
        with pytest.raises(SourceError, match=r"is given up: There is no IIO device bmi160; there is none in"):
            heard.listen(20)


def test_a_live_source_yields_at_each_tick(device: FakeIio) -> None:
    with open_iio(device) as source:
        items = iter(source)
        said: list[Block | Health] = []
        listener = threading.Thread(target=lambda: said.extend((next(items), next(items))), daemon=True)
        listener.start()
        listener.join(20)
    assert [len(item.samples) for item in said if isinstance(item, Block)] == [0, 0]


def test_offset_scale_and_channels_in_the_requested_order(device: FakeIio) -> None:
    device.set("in_accel_scale", "0.5")
    device.set("in_accel_z_scale", "0.25")
    device.set("in_accel_z_offset", "-100")
    with open_iio(device, "iio:0?only=accel_z,accel_x&scale=2&unit=g", Wanted(1000, 2, 0.08)) as source:
        assert source.unit == "g"
        assert device.get("scan_elements/in_accel_y_en") == "0"
        device.set("scan_elements/in_accel_y_en", "1")
        heard = Heard(source)
        # Without y: x at 0, z at 2, the time at 8.
        x, _, z = signal(0, 1, 3)[0].tolist()
        os.write(device.fd, x.to_bytes(2, "little") + (z << 4).to_bytes(2, "big") + bytes(12))
        heard.until(lambda heard: heard.received == 1)
    assert heard.blocks[0][2].tolist() == [[2 * 0.25 * (z - 100), 2 * 0.5 * x]]


def test_channels_that_the_device_cannot_disable_are_skipped(device: FakeIio) -> None:
    (device.folder / "scan_elements/in_accel_x_en").unlink()
    (device.folder / "scan_elements/in_accel_x_en").symlink_to("/dev/null")  # takes a 0
    device.set("scan_elements/in_accel_y_en", "1")
    with open_iio(device, "iio:0?only=accel_z", Wanted(1000, 1, 0.08)) as source:
        assert source.channels == 1


def test_kinds_of_several_units(device: FakeIio) -> None:
    device.set("scan_elements/in_anglvel_x_en", "0")
    device.set("scan_elements/in_anglvel_x_index", "9")
    device.set("scan_elements/in_anglvel_x_type", "le:s16/16>>0")
    with open_iio(device, want=Wanted(1000, None, 0.08)) as source:
        assert (source.channels, source.unit) == (4, "m/s², raw anglvel")
    device.set("in_anglvel_scale", "0.001")
    with open_iio(device, "iio:0?only=anglvel", want=Wanted(1000, None, 0.08)) as source:
        assert (source.channels, source.unit) == (1, "rad/s")


def test_an_element_of_four_values_is_four_channels(device: FakeIio) -> None:
    device.set("scan_elements/in_rot_quaternion_en", "0")
    device.set("scan_elements/in_rot_quaternion_index", "7")
    device.set("scan_elements/in_rot_quaternion_type", "le:s16/16X4>>0")
    device.set("in_rot_scale", "0.5")
    with open_iio(device, "iio:0?only=rot", Wanted(1000, 4, 0.08)) as source:
        heard = Heard(source)
        os.write(device.fd, np.array([0, 0, 0, 0, 2, 4, -6, 8], "<i2").tobytes())  # the time has the lower index
        heard.until(lambda heard: heard.received == 1)
    assert heard.blocks[0][2].tolist() == [[1, 2, -3, 4]]


def test_the_rate_is_the_requested_one_or_the_models_if_offered(device: FakeIio) -> None:
    with open_iio(device, "iio:0?rate=100") as source:
        assert (source.rate_hz, device.get("sampling_frequency")) == (100, "100")
    with open_iio(device) as source:
        assert (source.rate_hz, device.get("sampling_frequency")) == (1000, "1000")
    with open_iio(device, want=Wanted(16000, 3, 0.08)) as source:
        assert (source.rate_hz, device.get("sampling_frequency")) == (1000, "1000")
    with open_iio(device, "iio:0?rate=833") as source:
        assert (source.rate_hz, device.get("sampling_frequency")) == (833, "833.333333")


def test_the_rate_may_be_the_triggers(device: FakeIio) -> None:
    (device.folder / "sampling_frequency").unlink()
    trigger = device.folder.parent / "trigger0"
    trigger.mkdir()
    (trigger / "name").write_text("bmi160-dev0\n")
    (trigger / "sampling_frequency").write_text("200\n")
    device.set("trigger/current_trigger", "")
    with pytest.raises(ConfigError, match=r"iio:device0 \(bmi160\) does not report its sample rate; give it"):
        open_iio(device)
    with open_iio(device, "iio:0?rate=1000"):
        assert device.get("trigger/current_trigger") == "bmi160-dev0"  # the device's own
    with open_iio(device) as source:
        assert source.rate_hz == 200


def test_without_a_buffer_values_are_polled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    device = FakeIio(tmp_path)
    device.unplug()
    device.plug(buffered=False)
    device.set("in_accel_scale", "0.5")
    with open_iio(device, "iio:bmi160?rate=100&alarm=30") as source:  # this machine may be busy
        assert (source.rate_hz, source.channels, source.unit) == (100, 3, "m/s²")
        heard = Heard(source)
        heard.until(lambda heard: heard.received >= 50)
        device.set("in_accel_z_raw", "-8")
        heard.until(lambda heard: heard.blocks[-1][2][-1, 2] == -4)
        device.unplug()
        heard.until(lambda heard: heard.named == ["recovering"])
        lost = heard.lost
        device.plug(buffered=False)
        heard.until(lambda heard: heard.lost > lost)
    assert heard.named == ["recovering", "healthy"]
    assert heard.blocks[0][2][0].tolist() == [0.5, 1.0, 1.5]
    heard.check_places()
    assert "iio:bmi160 is polled 100 times a second; changes in between are missed." in caplog.text


def test_a_value_that_cannot_be_read_is_a_lost_sample(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    device = FakeIio(tmp_path)
    with open_iio(device, "iio:bmi160?rate=100&poll=yes") as source:
        heard = Heard(source)
        heard.until(lambda heard: heard.received >= 5)
        device.set("in_accel_z_raw", "")  # a bus that was disturbed
        heard.listen(0.3)
        device.set("in_accel_z_raw", "3")
        heard.until(lambda heard: heard.lost >= 10)
    device.close()
    assert heard.lost < 1000
    assert caplog.text.count("could not be read at least once") == 1


def test_input_values_are_in_their_unit_already(tmp_path: Path) -> None:
    device = FakeIio(tmp_path)
    device.set("in_temp_input", "21500")
    device.set("in_temp_scale", "7")
    with open_iio(device, "iio:0?poll=yes&rate=50&only=temp", Wanted(50, 1, 0.08)) as source:
        assert source.unit == "m°C"
        heard = Heard(source)
        heard.until(lambda heard: heard.received >= 1)
    device.close()
    assert heard.blocks[0][2][0].tolist() == [21500]
