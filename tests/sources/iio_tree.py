"""A device of Linux's industrial I/O in a made-up tree of /sys and /dev; its buffer is a pipe."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from time import monotonic_ns

from tests.sources.board import signal

# Channel, type; a scan is x at 0, y at 4, z at 8, the time at 16, 24 bytes in all.
SCAN = {
    "accel_x": "le:s16/16>>0",
    "accel_y": "le:s32/32>>0",
    "accel_z": "be:u12/16>>4",
    "timestamp": "le:s64/64>>0",
}
PERIOD_NS = 1_000_000


class FakeIio:
    """An accelerometer of 1000 Hz, plugged in."""

    def __init__(self, root: Path, index: int = 0, name: str = "bmi160", stamped: bool = True) -> None:
        self.root, self.index, self.name = root, index, name
        self.stamped = stamped
        self.began_ns = monotonic_ns()
        self.fd = -1
        self.plug()

    @property
    def folder(self) -> Path:
        return self.root / f"sys/bus/iio/devices/iio:device{self.index}"

    @property
    def node(self) -> Path:
        return self.root / f"dev/iio:device{self.index}"

    def set(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
        return path

    def get(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def plug(self, buffered: bool = True) -> None:
        self.set("name", self.name)
        self.set("sampling_frequency", "1000.000000")
        self.set("sampling_frequency_available", "12.5 100 833.333333 1000")
        self.set("in_accel_scale", "1.0")
        for axis, value in zip("xyz", (1, 2, 3), strict=True):
            self.set(f"in_accel_{axis}_raw", str(value))
        if not buffered:
            return
        self.set("current_timestamp_clock", "realtime")
        self.set("buffer/enable", "0")
        self.set("buffer/length", "2")
        for index, (name, kind) in enumerate(SCAN.items()):
            if name != "timestamp" or self.stamped:
                self.set(f"scan_elements/in_{name}_en", "0")
                self.set(f"scan_elements/in_{name}_index", str(index))
                self.set(f"scan_elements/in_{name}_type", kind)
        self.node.parent.mkdir(exist_ok=True)
        os.mkfifo(self.node)
        self.fd = os.open(self.node, os.O_RDWR)

    def unplug(self) -> None:
        self.node.unlink(missing_ok=True)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        shutil.rmtree(self.folder)

    def close(self) -> None:
        if self.fd >= 0:
            self.unplug()

    def send(self, first: int, count: int) -> None:
        """Samples from the index `first` on, each at its time."""
        data = bytearray()
        for at, (x, y, z) in zip(range(first, first + count), signal(first, count, 3).tolist(), strict=True):
            data += struct.pack("<hxxi", x, y) + struct.pack(">H", z << 4) + bytes(2)
            if self.stamped:
                data += bytes(4) + struct.pack("<q", self.began_ns + at * PERIOD_NS)
        while data:
            del data[: os.write(self.fd, data)]
