"""A board on a serial line: a pseudo-terminal with a link to it, as in /dev/serial/by-id."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import numpy as np
from numpy.typing import NDArray

from edge_res.flow import Block, Health
from edge_res.sources import Source
from edge_res.sources.framing import pack_frame


class Board:
    """Whoever writes to `fd` is the board; `path` is where it is plugged in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1

    def plug(self) -> None:
        self.fd, device = pty.openpty()
        tty.setraw(device)
        name = os.ttyname(device)
        os.close(device)
        link = self.path.with_suffix(".new")
        link.symlink_to(name)
        link.replace(self.path)

    def unplug(self) -> None:
        os.close(self.fd)
        self.fd = -1
        self.path.unlink()

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.fd, data) :]

    def close(self) -> None:
        if self.fd >= 0:
            self.unplug()


def signal(first: int, count: int, channels: int) -> NDArray[np.int64]:
    """Samples that say where they belong: in channel 0 their index, modulo 2**15."""
    at = np.arange(first, first + count)[:, np.newaxis]
    return np.concatenate([at % 32768] + [(at * 7 + i) % 1000 for i in range(1, channels)], axis=1)


def frames(first: int, count: int, channels: int, per_frame: int = 10) -> list[bytes]:
    """`count` samples from `first` on, as frames."""
    return [pack_frame(at, signal(at, per_frame, channels)) for at in range(first, first + count, per_frame)]


def text(first: int, count: int, channels: int) -> bytes:
    """`count` samples from `first` on, as lines."""
    return b"".join(b",".join(b"%d" % value for value in row) + b"\r\n" for row in signal(first, count, channels))


class Heard:
    """What a source has yielded: its blocks copied, and its states."""

    def __init__(self, source: Source) -> None:
        self.blocks: list[tuple[int, int, NDArray[np.float32]]] = []
        self.states: list[Health] = []
        self._items: Iterator[Block | Health] = iter(source)

    def until(self, enough: Callable[[Heard], bool], within_s: float = 20.0) -> None:
        """Listen on; fails where it takes too long."""
        end_s = monotonic() + within_s
        while not enough(self):
            assert monotonic() < end_s, (self.states, self.received, self.lost)
            self._take(next(self._items))

    def listen(self, for_s: float) -> None:
        """Listen on for some time."""
        end_s = monotonic() + for_s
        while monotonic() < end_s:
            self._take(next(self._items))

    def _take(self, item: Block | Health) -> None:
        if isinstance(item, Health):
            self.states.append(item)
        elif len(item.samples) or item.lost:
            self.blocks.append((item.at, item.lost, item.samples.copy()))

    @property
    def received(self) -> int:
        return sum(len(samples) for _, _, samples in self.blocks)

    @property
    def lost(self) -> int:
        return sum(lost for _, lost, _ in self.blocks)

    @property
    def gaps(self) -> list[int]:
        return [lost for _, lost, _ in self.blocks if lost]

    @property
    def named(self) -> list[str]:
        return [health.state for health in self.states]

    def check_places(self) -> None:
        """Positions follow from what came and what was lost."""
        end = 0
        for at, lost, samples in self.blocks:
            assert at == end + lost
            end = at + len(samples)

    def check_signal(self, offset: int = 0) -> None:
        """Each sample is that of its position, `offset` after the board's."""
        for at, _, samples in self.blocks:
            np.testing.assert_array_equal(samples, signal(at + offset, len(samples), samples.shape[1]))


def wait_for(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    end_s = monotonic() + within_s
    while not condition():
        assert monotonic() < end_s
        sleep(0.01)


def close(fd: int) -> None:
    with suppress(OSError):
        os.close(fd)
