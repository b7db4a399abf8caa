"""Two ways to read an IIO device: through its buffer, or by polling its values."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic_ns
from typing import Protocol

import numpy as np

from edge_res.devices.access import by_whom, device_holders, way_in
from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Samples
from edge_res.sources.iio.scan import Element, lay_out, read_element, unpack
from edge_res.sources.iio.timeline import Times
from edge_res.sources.iio.tree import BUS, Channel, Device, read_text, write

_GATHER_S = 0.02  # between two reads: fewer, larger pieces
_HELD_S = 2.0  # how much the kernel's buffer should hold
_MOST_BYTES = 1 << 16  # in one read
_GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO)


class Reader(Protocol):
    """An open device."""

    channels: int

    def read(self, stopping: Event) -> tuple[Samples, Times | None]:
        """Wait for a moment; return float32 `(n, channels)`, n may be 0, and the time of each in ns, if known.

        Raises `OSError` when the device is gone.
        """

    def drop(self) -> None:
        """Forget what has arrived and was not read; raises `OSError`."""

    def close(self) -> None: ...


class BufferReader:
    """Reads the buffer of a device, exclusively, until `close`; raises `SourceError` if it cannot be started."""

    def __init__(self, device: Device, picked: Sequence[Channel], rate_hz: int, trigger: str | None) -> None:
        self._device = device
        self._picked = picked
        self._held = b""
        self._file = _open(device)
        try:
            # If it is enabled but not open, a program that was killed has left it so.
            write(device.folder / "buffer/enable", "0")
            self._choose_trigger(trigger)
            self._elements = self._enable_channels()
            self._begins, self._size = lay_out(self._elements.values())
            with suppress(SourceError):  # some buffers have a fixed length
                write(device.folder / "buffer/length", str(max(16, round(_HELD_S * rate_hz))))
            triggers = _known(_triggers(device))
            write(
                device.folder / "buffer/enable",
                "1",
                f"set what starts each reading with trigger= ({triggers}), or poll the device with poll=yes",
            )
        except BaseException:
            os.close(self._file)
            raise
        self.channels = sum(self._elements[channel.name].repeat for channel in picked)

    def read(self, stopping: Event) -> tuple[Samples, Times | None]:
        stopping.wait(_GATHER_S)
        data = self._held + self._take()
        if not self._device.node.exists():
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        whole = len(data) - len(data) % self._size
        self._held = data[whole:]
        scans = np.frombuffer(data[:whole], np.uint8).reshape(-1, self._size)
        places = dict(zip(self._elements, self._begins, strict=True))
        columns = []
        for channel in self._picked:
            raw = unpack(scans, self._elements[channel.name], places[channel.name]).astype(np.float64)
            columns.append((raw + channel.offset) * channel.scale)
        times = None
        if "timestamp" in self._elements:
            times = unpack(scans, self._elements["timestamp"], places["timestamp"])[:, 0].astype(np.int64)
        with np.errstate(over="ignore"):
            return np.concatenate(columns, axis=1).astype(np.float32), times

    def drop(self) -> None:
        while data := self._take():
            data = self._held + data
            self._held = data[len(data) - len(data) % self._size :]

    def close(self) -> None:
        with suppress(SourceError):
            write(self._device.folder / "buffer/enable", "0")
        os.close(self._file)

    def _take(self) -> bytes:
        try:
            data = os.read(self._file, _MOST_BYTES)
        except BlockingIOError:
            return b""
        if not data:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return data

    def _enable_channels(self) -> dict[str, Element]:
        """Enable the channels; return the elements of a scan in order, including those that cannot be disabled."""
        folder = self._device.folder / "scan_elements"
        wanted = {channel.name for channel in self._picked} | {"timestamp"}
        with suppress(SourceError):  # the default, the time of day, may be set while we listen
            write(self._device.folder / "current_timestamp_clock", "monotonic")
        found: list[tuple[int, str, Element]] = []
        for file in sorted(folder.glob("in_*_en")):
            name = file.name[3:-3]
            write(file, str(int(name in wanted)), "it may not go with the others; pick other channels with only=")
            if read_text(file) != "1":
                if name in wanted - {"timestamp"}:
                    raise SourceError(f"{self._device} cannot sample {name} with the others; pick some with only=.")
            else:
                index, kind = (read_text(folder / f"in_{name}_{what}") or "" for what in ("index", "type"))
                try:
                    found.append((int(index), name, read_element(kind)))
                except ValueError as error:
                    raise SourceError(f"{self._device} describes {name} in an unknown way: {error}.") from None
        return {name: element for _, name, element in sorted(found, key=lambda item: item[0])}

    def _choose_trigger(self, trigger: str | None) -> None:
        """Set the trigger: the given one, or the current one, or the device's own."""
        current = self._device.folder / "trigger/current_trigger"
        if trigger is None and (not current.exists() or read_text(current)):
            return
        names = _triggers(self._device)
        index = self._device.folder.name.removeprefix("iio:device")
        own = [name for name in names if name.endswith(f"-dev{index}")]
        chosen = trigger or (own[0] if own else None)
        if chosen is None:
            return
        if chosen not in names or not current.exists():
            raise ConfigError(f"{self._device} has no trigger {chosen}; {_known(names)}.")
        write(current, chosen, _known(names))


class PollReader:
    """Polls the values of a device `rate_hz` times a second, or as often as there is time for."""

    def __init__(self, device: Device, picked: Sequence[Channel], rate_hz: int) -> None:
        self.channels = len(picked)
        self._device = device
        self._picked = picked
        self._files = [_value_file(device, channel) for channel in picked]
        self._period_ns = 1e9 / rate_hz
        self._due_ns = float(monotonic_ns())
        self._warned = False
        self._poll()  # fails at once if a value cannot be read

    def read(self, stopping: Event) -> tuple[Samples, Times | None]:
        rows: list[list[float]] = []
        times: list[int] = []
        until_ns = monotonic_ns() + _GATHER_S * 1e9
        while (now_ns := monotonic_ns()) < until_ns:
            if now_ns < self._due_ns:
                stopping.wait((min(self._due_ns, until_ns) - now_ns) / 1e9)
                continue
            self._due_ns += self._period_ns * (1 + (now_ns - self._due_ns) // self._period_ns)  # skips missed polls
            row = self._poll()
            if row is not None:
                rows.append(row)
                times.append(now_ns)
        samples = np.array(rows, np.float64).reshape(-1, self.channels)
        with np.errstate(over="ignore"):
            return samples.astype(np.float32), np.array(times, np.int64)

    def drop(self) -> None:
        self._due_ns = float(monotonic_ns())

    def close(self) -> None:
        pass

    def _poll(self) -> list[float] | None:
        try:
            values = [float(file.read_text()) for file in self._files]
        except (OSError, ValueError) as error:
            if isinstance(error, PermissionError):
                raise SourceError(f"{self._files[0]} cannot be read: permission denied; run as root.") from None
            if isinstance(error, OSError) and (error.errno in _GONE or not self._device.folder.exists()):
                raise OSError(error.errno, error.strerror) from None
            if not self._warned:  # the bus was disturbed, or the sensor was not ready
                self._warned = True
                logging.getLogger("edge_res").warning("%s could not be read at least once: %s", self._device, error)
            return None
        return [(value + channel.offset) * channel.scale for value, channel in zip(values, self._picked, strict=True)]


def _open(device: Device) -> int:
    node = str(device.node)
    try:
        return os.open(node, os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError:
        raise SourceError(f"{node} cannot be read: permission denied; {way_in(node)}.") from None
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise SourceError(f"{node} is in use{by_whom(device_holders(node))}; stop that first.") from None
        raise SourceError(f"{node} cannot be opened: {error.strerror}.") from None


def _value_file(device: Device, channel: Channel) -> Path:
    raw = device.folder / f"in_{channel.name}_raw"
    return raw if raw.exists() else device.folder / f"in_{channel.name}_input"


def _triggers(device: Device) -> list[str]:
    bus = device.folder.parent
    return sorted(name for file in bus.glob("trigger*/name") if (name := read_text(file)))


def _known(names: list[str]) -> str:
    return f"there are {', '.join(names)}" if names else f"there is none in {Path('/') / BUS}"
