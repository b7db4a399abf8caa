"""A sensor that sends datagrams."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from edge_res.address import read_address
from edge_res.errors import ConfigError
from edge_res.flow import Block, Health, Samples
from edge_res.sources import Wanted
from edge_res.sources.feed import BUFFER_S, Feed
from edge_res.sources.framing import Frame, read_frame
from edge_res.sources.reorder import Reorder
from edge_res.sources.sensor import (
    FIRST_S,
    GUESS_HZ,
    RAW,
    RateWatch,
    check_width,
    measure_rate,
    read_alarm,
    read_channels,
    read_rate,
    read_scale,
    read_unit,
    scaled,
    take_rate,
)
from edge_res.sources.sequence import Sequence
from edge_res.sources.udp.endpoint import EXAMPLE, bind, drain, read_endpoint, receive

_GATHER_S = 0.005  # between two looks: fewer, larger pieces
_MOST_WINDOW = 1000


@dataclass(frozen=True)
class Options:
    """What an address may say."""

    channels: int | None = None
    rate: str | None = None
    unit: str = RAW
    scale: float = 1.0
    window: int = 8
    alarm: float | None = None


class Udp:
    """`udp://[HOST]:PORT?rate=…`: datagrams of one binary frame each; see docs/reference/sources.md.

    Brings back into order what comes within `window` datagrams, drops what comes twice, and counts what is missing by
    the sequence numbers, whoever lost it. Listens to one sender, and to another when that one has been silent.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = BUFFER_S) -> None:
        target, options = read_address(text, Options, EXAMPLE)
        self.name = text.partition("?")[0]
        self.unit = read_unit(options.unit)
        host, port = read_endpoint(text, target)
        self.channels = read_channels(self.name, options.channels, want, EXAMPLE)
        if not 0 <= options.window <= _MOST_WINDOW:
            raise ConfigError(f"{self.name} says window={options.window}; it may be 0 to {_MOST_WINDOW} datagrams.")
        self._scale = read_scale(self.name, options.scale)
        declared_hz = read_rate(self.name, options.rate, want, EXAMPLE)
        read_alarm(self.name, options.alarm, 1)
        self._socket = bind(host, port)
        try:
            self.rate_hz = declared_hz or self._measure(options.window)
        except BaseException:
            self._socket.close()
            raise
        alarm_s = read_alarm(self.name, options.alarm, self.rate_hz)
        silence_s = alarm_s if want.give_up_s is None else min(alarm_s, want.give_up_s / 2)
        self._datagrams = Datagrams(self.name, self.channels, self.rate_hz, options.window, silence_s)
        self._watch = RateWatch(self.name, self.rate_hz, alarm_s)
        self._feed = Feed(self.name, self.rate_hz, self.channels, want, alarm_s, buffer_s)

    def __enter__(self) -> Udp:
        drain(self._socket)  # what came while others got ready
        self._feed.start(self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        self._feed.stop()
        self._socket.close()

    def __iter__(self) -> Iterator[Block | Health]:
        return iter(self._feed)

    def _receive(self) -> None:
        """In a thread of its own."""
        while not self._feed.stopping.wait(_GATHER_S):
            for lost, samples in self._datagrams.push(receive(self._socket), monotonic()):
                self._feed.put(scaled(samples, self._scale), lost)
                for sentence in self._watch.push(lost + len(samples)):
                    logging.getLogger("edge_res").warning("%s", sentence)

    def _measure(self, window: int) -> int:
        drain(self._socket)
        return take_rate(self.name, measure_rate(self._arrivals(window)), "check the sender")

    def _arrivals(self, window: int) -> Iterator[tuple[float, int]]:
        """When samples come, and how many; ends when none has come for long."""
        datagrams = Datagrams(self.name, self.channels, GUESS_HZ, window, FIRST_S)
        last_s = monotonic()
        while monotonic() - last_s < FIRST_S:
            for lost, samples in datagrams.push(receive(self._socket), monotonic()):
                last_s = monotonic()
                yield last_s, lost + len(samples)


class Datagrams:
    """The frames of one sender at a time, in order, and what is lost between them.

    After `silence_s` without a frame nothing is held back any more, and another sender may follow.
    """

    def __init__(self, name: str, channels: int, rate_hz: int, window: int, silence_s: float) -> None:
        self._name = name
        self._channels = channels
        self._silence_s = silence_s
        self._reorder = Reorder(window)
        self._sequence = Sequence(name, rate_hz)
        self._sender = ""
        self._heard_s = -math.inf
        self._told: set[str] = set()

    @property
    def late(self) -> int:
        """Frames dropped since they came twice, or too late."""
        return self._reorder.late

    def push(self, datagrams: list[tuple[bytes, str]], now_s: float) -> Iterator[tuple[int, Samples]]:
        """Samples lost, and those behind, float32 `(n, channels)`, of what has come at `now_s`."""
        for data, sender in datagrams:
            frame, end = read_frame(data)
            if frame is None or end != len(data):
                self._tell("frame", f"{sender} sends datagrams of {len(data)} bytes that are no frame; see its CRC")
            elif self._listens_to(sender, frame, now_s):
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

    def _listens_to(self, sender: str, frame: Frame, now_s: float) -> bool:
        if sender == self._sender or not self._sender:
            return True
        if now_s - self._heard_s <= self._silence_s:
            self._tell("sender", f"{sender} sends too, and is refused while {self._sender} does")
        elif (found := frame.samples.shape[1]) != self._channels:
            self._tell("channels", f"{sender} sends frames with channels={found}, and is refused")
        else:
            return True
        return False

    def _flushed(self) -> Iterator[tuple[int, Samples]]:
        for ready, arrived_s in self._reorder.flush():
            yield self._placed(ready, arrived_s)

    def _placed(self, frame: Frame, arrived_s: float) -> tuple[int, Samples]:
        return self._sequence.lost_before(frame.number, len(frame.samples), arrived_s), frame.samples

    def _tell(self, what: str, sentence: str) -> None:
        """Once."""
        if what not in self._told:
            self._told.add(what)
            logging.getLogger("edge_res").warning("%s: %s.", self._name, sentence)
