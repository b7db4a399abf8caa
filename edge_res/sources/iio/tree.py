"""The devices of Linux's industrial I/O (IIO), as they appear in /sys.

See the kernel's Documentation/ABI/testing/sysfs-bus-iio. Tested on simulated file trees, not on a real device.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_res.errors import ConfigError, SourceError

BUS = "sys/bus/iio/devices"
UNITS = {  # of (raw + offset) · scale, by the kind of channel
    "accel": "m/s²", "gravity": "m/s²", "anglvel": "rad/s", "deltaangl": "rad", "deltavelocity": "m/s", "magn": "G",
    "voltage": "mV", "altvoltage": "mV", "current": "mA", "altcurrent": "mA", "power": "mW", "energy": "J",
    "temp": "m°C", "pressure": "kPa", "humidityrelative": "m%", "illuminance": "lx", "angl": "rad", "incli": "°",
    "resistance": "Ω", "capacitance": "nF", "distance": "m", "velocity": "m/s", "concentration": "%",
    "electricalconductivity": "S/m", "phase": "rad", "colortemp": "K",
}  # fmt: skip


@dataclass(frozen=True)
class Device:
    """A device: its folder in /sys, and the node in /dev through which its buffer is read, if it has one."""

    folder: Path
    node: Path

    def __str__(self) -> str:
        name = read_text(self.folder / "label") or read_text(self.folder / "name")
        return f"{self.folder.name} ({name})" if name else self.folder.name


@dataclass(frozen=True)
class Channel:
    """A channel: (value + `offset`) · `scale` is in `unit`. `name` is the kernel's, such as accel_x or voltage0."""

    name: str
    offset: float
    scale: float
    unit: str


def find_device(text: str, root: Path = Path("/")) -> Device:
    """The device with this index, name, label or path; raises a `SourceError` that lists the devices there are."""
    folders = sorted((root / BUS).glob("iio:device*"), key=_natural)
    wanted = text
    if text.startswith("/"):
        with suppress(OSError):
            wanted = (root / text.lstrip("/")).resolve(strict=True).name
    found = [folder for folder in folders if wanted in _names(folder)]
    if len(found) == 1:
        return Device(found[0], root / "dev" / found[0].name)
    if found:
        raise SourceError(
            f"{len(found)} IIO devices are called {text}; give the path of one: "
            f"{', '.join(str(folder.resolve()) for folder in found)}."
        )
    present = ", ".join(str(Device(folder, root)) for folder in folders)
    raise SourceError(
        f"There is no IIO device {text}; "
        + (f"there are {present}." if present else f"there is none in {root / BUS}: is its driver loaded? See `dmesg`.")
    )


def channels_of(device: Device, scanned: bool) -> list[Channel]:
    """The channels of a scan in their order, or, unless `scanned`, those that can be polled."""
    if scanned:
        files = list((device.folder / "scan_elements").glob("in_*_en"))
        order = {file: int(read_text(file.with_name(file.name[:-3] + "_index")) or 0) for file in files}
        names = [file.name[3:-3] for file in sorted(files, key=order.__getitem__)]
        return [_channel(device, name) for name in names if name != "timestamp"]
    found = {file.name[3:].rpartition("_")[0] for end in ("raw", "input") for file in device.folder.glob(f"in_*_{end}")}
    return [_channel(device, name) for name in sorted(found, key=lambda name: _natural(Path(name)))]


def pick_channels(name: str, channels: list[Channel], only: str | None) -> list[Channel]:
    """The channels that `only` names, such as `accel_x,accel_z`, or `accel` for all of a kind; None: all.

    Raises `ConfigError`.
    """
    if only is None:
        return channels
    picked: dict[str, Channel] = {}
    for part in only.split(","):
        chosen = {channel.name: channel for channel in channels if part in (channel.name, _kind(channel.name))}
        if not chosen:
            raise ConfigError(f"{name} has no channel {part}; it has {listed(channels)}.")
        picked |= chosen
    return list(picked.values())


def listed(channels: list[Channel]) -> str:
    return ", ".join(channel.name for channel in channels)


def attributes(device: Device, channel: str, name: str) -> Iterator[Path]:
    """Where an attribute of a channel may be, from the channel's own file to that of the whole device."""
    shared = re.sub(r"\d+", "", channel) if "-" in channel else _kind(channel)  # voltage-voltage for differential ones
    for stem in (f"in_{channel}_", f"in_{shared}_", "in_", ""):
        yield device.folder / f"{stem}{name}"


def read_text(path: Path) -> str | None:
    """The content of an attribute; None if it does not exist or cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def write(path: Path, text: str, fix: str = "") -> None:
    """Set an attribute, unless it has this value already; raises `SourceError`."""
    if read_text(path) == text:
        return
    try:
        file = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
    except OSError as error:
        ways = {
            errno.EACCES: "run as root, set it in advance, or let your group write it with a udev rule",
            errno.EBUSY: "stop what else uses the device",
        }
        fix = ways.get(error.errno or 0, fix) or "see `dmesg`"
        raise SourceError(f"{path} cannot be set to {text}: {error.strerror}; {fix}.") from None


def _channel(device: Device, name: str) -> Channel:
    offset = _first_number(attributes(device, name, "offset"))
    scale = _first_number(attributes(device, name, "scale"))
    kind = _kind(name)
    if (device.folder / f"in_{name}_input").exists() and not (device.folder / f"in_{name}_raw").exists():
        return Channel(name, 0.0, 1.0, UNITS.get(kind, kind))
    unit = UNITS.get(kind, kind) if scale is not None else f"raw {kind}"
    return Channel(name, offset or 0.0, 1.0 if scale is None else scale, unit)


def _first_number(paths: Iterator[Path]) -> float | None:
    for path in paths:
        with suppress(ValueError):
            return float(read_text(path) or "")
    return None


def _kind(channel: str) -> str:
    match = re.match(r"[a-z]+", channel)
    return match[0] if match else channel


def _names(folder: Path) -> set[str | None]:
    index = folder.name.removeprefix("iio:device")
    return {index, folder.name, folder.resolve().name, read_text(folder / "name"), read_text(folder / "label")} - {""}


def _natural(path: Path) -> list[tuple[int, str]]:
    """voltage2 before voltage10."""
    return [(int(part or -1), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
