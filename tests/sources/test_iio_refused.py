"""What is refused of industrial I/O, each in a sentence with the way out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_res.errors import ConfigError, EdgeResError, SignalError, SourceError
from edge_res.sources import Wanted, open_source
from edge_res.sources.iio import Iio
from tests.sources.iio_tree import FakeIio

WANT = Wanted(1000, 3, 0.08, give_up_s=30.0)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[FakeIio]:
    made = FakeIio(tmp_path)
    yield made
    made.close()


def open_iio(device: FakeIio, text: str = "iio:bmi160", want: Wanted = WANT) -> Iio:
    return Iio(text, want, root=device.root)


REFUSED: dict[str, tuple[type[EdgeResError], str]] = {
    "iio:": (ConfigError, "iio: names no device; give one as in iio:bmi160?rate=100&only=accel."),
    "iio:lis3dh": (SourceError, "There is no IIO device lis3dh; there are iio:device0 (bmi160)."),
    "iio:1": (SourceError, "There is no IIO device 1; there are iio:device0 (bmi160)."),
    "iio:/dev/nothing": (SourceError, "There is no IIO device /dev/nothing; there are"),
    "iio:0?colour=red": (ConfigError, "has the unknown option 'colour'; its options are only, rate,"),
    "iio:0?rate=fast": (ConfigError, "says rate=fast; expected an integer"),
    "iio:0?scale=0": (ConfigError, "says scale=0; expected a number other than 0"),
    "iio:0?alarm=0": (ConfigError, "says alarm=0; expected a number of seconds above 0"),
    "iio:0?only=gyro": (ConfigError, "has no channel gyro; it has accel_x, accel_y, accel_z."),
    "iio:0?only=accel_x": (SignalError, "has 1 channel, but the model expects 3; it has accel_x; pick"),
    "iio:0?poll=yes": (ConfigError, "has no buffer and is polled; give the polls per second with rate="),
    "iio:0?poll=yes&rate=5000": (ConfigError, "is polled, at rate=5000; expected 1 to 1000 polls per second."),
    "iio:0?trigger=hrtimer": (ConfigError, "iio:device0 (bmi160) has no trigger hrtimer; there is none in"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_invalid_addresses_are_refused_in_a_sentence(text: str, device: FakeIio) -> None:
    kind, message = REFUSED[text]
    with pytest.raises(EdgeResError) as caught:
        open_iio(device, text)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert device.get("buffer/enable") == "0"


def test_channels_that_contradict_the_command_line(device: FakeIio) -> None:
    with pytest.raises(ConfigError, match=r"iio:0 has 3 channels, but --channels says 2; leave --channels out"):
        open_iio(device, "iio:0", Wanted(1000, 3, 0.08, given_channels=2))
    assert device.get("buffer/enable") == "0"


def test_a_machine_without_industrial_io() -> None:
    with pytest.raises(SourceError, match=r"There is no IIO device bmi160; there (is none in .*dmesg|are)"):
        open_source("iio:bmi160", WANT)


def test_two_devices_of_the_same_name_are_listed(device: FakeIio) -> None:
    other = FakeIio(device.root, 1)
    with pytest.raises(SourceError, match=r"2 IIO devices are called bmi160; give the path of one: .*0, .*1\."):
        open_iio(device)
    with open_iio(device, "iio:/sys/bus/iio/devices/iio:device1") as source:
        assert other.get("buffer/enable") == "1"
        assert source.channels == 3
    other.set("label", "left-wing")
    with open_iio(device, "iio:left-wing"):
        assert other.get("buffer/enable") == "1"
    other.close()


def test_a_rate_that_is_not_a_whole_number(device: FakeIio) -> None:
    device.set("sampling_frequency", "12.5")
    with pytest.raises(
        ConfigError, match=r"runs at 12\.5 Hz, but a rate must be a whole number; .* it offers 12\.5 100"
    ):
        open_iio(device, want=Wanted(16000, 3, 0.08))


def test_a_rate_that_the_driver_rejects(device: FakeIio, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writing(monkeypatch, "sampling_frequency", errno.EINVAL)
    with pytest.raises(
        SourceError, match=r"sampling_frequency cannot be set to 99: Invalid argument; it offers 12\.5 100 833"
    ):
        open_iio(device, "iio:0?rate=99")


def test_a_type_that_cannot_be_read(device: FakeIio) -> None:
    device.set("scan_elements/in_accel_y_type", "le:s12")
    with pytest.raises(SourceError, match=r"describes accel_y in an unknown way: 'le:s12' is not a type"):
        open_iio(device)


def test_channels_that_cannot_be_combined(device: FakeIio) -> None:
    enabled = device.folder / "scan_elements/in_accel_x_en"
    enabled.unlink()
    enabled.symlink_to("/dev/null")  # stays as it is
    with pytest.raises(SourceError, match=r"cannot sample accel_x with the others; pick some with only="):
        open_iio(device)


def test_a_buffer_that_requires_a_trigger(device: FakeIio, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writing(monkeypatch, "enable", errno.EINVAL)
    with pytest.raises(
        SourceError, match=r"buffer/enable cannot be set to 1: Invalid argument; .* trigger= .* poll=yes"
    ):
        open_iio(device)


def test_an_attribute_without_permission(device: FakeIio, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writing(monkeypatch, "in_accel_x_en", errno.EACCES)
    with pytest.raises(SourceError, match=r"in_accel_x_en cannot be set to 1: Permission denied; run as root"):
        open_iio(device)


def test_a_device_that_another_program_reads(device: FakeIio, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_opening(monkeypatch, errno.EBUSY)
    with pytest.raises(SourceError, match=r"dev/iio:device0 is in use; stop that first"):
        open_iio(device)


def test_a_device_without_permission(device: FakeIio, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_opening(monkeypatch, errno.EACCES)
    device.node.chmod(0o660)
    os.chown(device.node, -1, os.getgid())
    with pytest.raises(SourceError, match=r"dev/iio:device0 cannot be read: permission denied; "):
        open_iio(device)


def refuse_writing(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """As a driver does; no file of ours would."""
    refuse_opening(monkeypatch, number, name, os.O_WRONLY)


def refuse_opening(
    monkeypatch: pytest.MonkeyPatch, number: int, name: str = "iio:device0", mode: int = os.O_RDONLY
) -> None:
    """As the kernel does."""
    os_open = os.open

    def refuse(path: Path | str, flags: int, *more: int) -> int:
        if Path(path).name == name and flags & os.O_ACCMODE == mode:
            raise OSError(number, os.strerror(number), path)
        return os_open(path, flags, *more)

    monkeypatch.setattr("os.open", refuse)
