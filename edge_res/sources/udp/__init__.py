"""A sensor that sends datagrams."""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from edge_res.address import read_address
from edge_res.errors import ConfigError
from edge_res.flow import Samples
from edge_res.sources import Wanted
from edge_res.sources.feed import BUFFER_S
from edge_res.sources.framing import Frame, read_frame
from edge_res.sources.reorder import Reorder
from edge_res.sources.sensor import (
    FIRST_S,
    GUESS_HZ,
    Declared,
    Sensor,
    SensorOptions,
    check_width,
    read_declared,
    settle_rate,
)
from edge_res.sources.sequence import Sequence
from edge_res.sources.udp.endpoint import EXAMPLE, bind, drain, read_endpoint, receive

_GATHER_S = 0.005  # between two looks: fewer, larger pieces
_MOST_WINDOW = 1000


@dataclass(frozen=True)
class Options(SensorOptions):
    """The options of an address."""

    window: int = 8


class Udp(Sensor):
    """`udp://[HOST]:PORT?rate=…`: datagrams of one binary frame each; see docs/reference/sources.md.

    Frames that arrive within `window` datagrams of their turn are put back in order, repeated ones are dropped, and
    missing ones are counted by the sequence numbers, whoever lost them. Only one sender is accepted at a time; another
    one may take over once it is silent.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = BUFFER_S) -> None:
        target, options = read_address(text, Options, EXAMPLE)
        name = text.partition("?")[0]
        host, port = read_endpoint(text, target)
        if not 0 <= options.window <= _MOST_WINDOW:
            raise ConfigError(f"{name} says window={options.window}; expected 0 to {_MOST_WINDOW} datagrams.")
        declared = read_declared(name, options, want, EXAMPLE)
        self._socket = bind(host, port)
        try:
            rate_hz = declared.rate_hz or _measure(declared, self._socket, options.window)
        except BaseException:
            self._close()
            raise
        super().__init__(declared, rate_hz, want, buffer_s)
        silence_s = self.alarm_s if want.give_up_s is None else min(self.alarm_s, want.give_up_s / 2)
        self._datagrams = Datagrams(name, self.channels, rate_hz, options.window, silence_s)

    def _receive(self) -> None:
        while not self._feed.stopping.wait(_GATHER_S):
            self._put(self._datagrams.push(receive(self._socket), monotonic()))

    def _discard(self) -> None:
        drain(self._socket)

    def _close(self) -> None:
        self._socket.close()


def _measure(declared: Declared, sock: socket.socket, window: int) -> int:
    datagrams = Datagrams(declared.name, declared.channels, GUESS_HZ, window, FIRST_S)
    drain(sock)
    return settle_rate(declared.name, lambda: datagrams.push(receive(sock), monotonic()), "check the sender")


class Datagrams:
    """The frames of one sender at a time, in order, and the losses between them.

    After `silence_s` without a frame nothing is held back any longer, and another sender may take over.
    """

    def __init__(self, name: str, channels: int, rate_hz: int, window: int, silence_s: float) -> None:
        self._name = name
        self._channels = channels
        self._silence_s = silence_s
        self._reorder = Reorder(window)
        self._sequence = Sequence(name, rate_hz)
        self._sender = ""
        self._heard_s = -math.inf
        self._warned: set[str] = set()

    @property
    def late(self) -> int:
        """Frames dropped because they arrived twice or too late."""
        return self._reorder.late

    def push(self, datagrams: list[tuple[bytes, str]], now_s: float) -> Iterator[tuple[int, Samples]]:
        """Samples lost, and those that follow, float32 `(n, channels)`, in what arrived at `now_s`."""
        for data, sender in datagrams:
            frame, end = read_frame(data)
            if frame is None or end != len(data):
                self._warn("frame", f"{sender} sends datagrams of {len(data)} bytes that are not frames; check the CRC")
            elif self._accepts(sender, frame, now_s):
                if sender != self._sender:
                    yield from self._flushed()
                    self._reorder.reset()
                    self._sequence.doubt()
                    self._sender = sender
                check_width(f"{self._name} from {sender}", frame.samples.shape[1], self._channels)
                self._heard_s = now_s
                for ready, arrived_s in self._reorder.push(frame, now_s):
                    yield self._placed(ready, arrived_s)
        if now_s - self._heard_s > self._silence_s:
            yield from self._flushed()

    def _accepts(self, sender: str, frame: Frame, now_s: float) -> bool:
        if sender == self._sender or not self._sender:
            return True
        if now_s - self._heard_s <= self._silence_s:
            self._warn("sender", f"{sender} also sends; it is ignored while {self._sender} does")
        elif (found := frame.samples.shape[1]) != self._channels:
            self._warn("channels", f"{sender} sends frames with channels={found}; it is ignored")
        else:
            return True
        return False

    def _flushed(self) -> Iterator[tuple[int, Samples]]:
        for ready, arrived_s in self._reorder.flush():
            yield self._placed(ready, arrived_s)

    def _placed(self, frame: Frame, arrived_s: float) -> tuple[int, Samples]:
        return self._sequence.lost_before(frame.number, len(frame.samples), arrived_s), frame.samples

    def _warn(self, what: str, sentence: str) -> None:
        """Warn once of each kind."""
        if what not in self._warned:
            self._warned.add(what)
            logging.getLogger("edge_res").warning("%s: %s.", self._name, sentence)
