"""The samples in MQTT messages, as JSON, raw numbers or binary frames; described in docs/reference/sources.md."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from edge_res.flow import Samples
from edge_res.sources.framing import NUMBERS, Frame, read_frame
from edge_res.sources.reorder import Reorder
from edge_res.sources.sensor import check_width
from edge_res.sources.sequence import Sequence, lost_by_clock

_KEPT = 4096  # messages that a broker may repeat
_UNANSWERED = 32  # messages that a sender may repeat
_HELD_S = 3600.0  # how much a broker may keep before it drops the rest

Piece = tuple[int | None, Samples]  # the number of the first sample, if the sender gives it, and float32 samples


def read_json(payload: bytes, channels: int) -> list[Piece]:
    """`{"samples": [[x, y, z], …], "seq": 1200}` or `[[x, y, z], …]`; for one channel also `[x, …]`."""
    body = json.loads(payload)
    number = body.get("seq") if isinstance(body, dict) else None
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
        raise ValueError("seq is not the index of a sample")
    samples = np.array(body["samples"] if isinstance(body, dict) else body, np.float64)
    return [(None if number is None else number % NUMBERS, _columns(samples, channels))]


def read_int16(payload: bytes, channels: int) -> list[Piece]:
    """Little-endian 16-bit integers, all channels of a sample one after the other."""
    return [(None, _columns(np.frombuffer(payload, "<i2"), channels))]


def read_float32(payload: bytes, channels: int) -> list[Piece]:
    """Little-endian 32-bit floats, all channels of a sample one after the other."""
    return [(None, _columns(np.frombuffer(payload, "<f4"), channels))]


def read_frames(payload: bytes, channels: int) -> list[Piece]:
    """Binary frames, one after the other."""
    pieces: list[Piece] = []
    at = 0
    while at < len(payload):
        frame, end = read_frame(payload, at)
        if frame is None or end > len(payload):
            raise ValueError(f"no frame begins at byte {at}; check its CRC")
        pieces.append((frame.number, frame.samples))
        at = end
    if not pieces:
        raise ValueError("it is empty")
    return pieces


def _columns(values: NDArray[np.generic], channels: int) -> Samples:
    if values.ndim == 1:
        values = values.reshape(-1, channels)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"samples of the shape {values.shape}")
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


FORMATS: dict[str, Callable[[bytes, int], list[Piece]]] = {
    "json": read_json,
    "int16": read_int16,
    "float32": read_float32,
    "frames": read_frames,
}


class Repeated:
    """Recognises repeated messages by their hashes.

    A sender that was cut off repeats the few messages that were not acknowledged; a broker that was cut off or
    restarted may repeat all it had. Older messages that come again are not repetitions: a sender has restarted.
    """

    def __init__(self) -> None:
        self._places: dict[int, int] = {}  # of the latest messages, in order
        self._place = 0

    def push(self, payload: bytes, interrupted: bool) -> bool:
        """Whether this is a repetition; after an interruption, more of the past is compared."""
        key = hash(payload)
        place = self._places.get(key)
        if place is not None and self._place - place < (_KEPT if interrupted else _UNANSWERED):
            return True
        self._places.pop(key, None)  # so that it becomes the last
        self._place += 1
        self._places[key] = self._place
        if len(self._places) > _KEPT:
            del self._places[next(iter(self._places))]
        return False


class Messages:
    """The samples in messages as they arrive, and the losses between them.

    If the sender numbers its samples, the numbers show the losses, and repeated messages are dropped. Otherwise the
    clock does, after a silence of `silence_s`, a lost connection (`interrupted`) or an unreadable message.
    """

    def __init__(self, name: str, kind: str, channels: int, rate_hz: int, silence_s: float) -> None:
        self.unnumbered = False  # whether samples without a number have arrived
        self._name = name
        self._kind = kind
        self._channels = channels
        self._rate_hz = rate_hz
        self._silence_s = silence_s
        self._order = Reorder(0)
        self._repeated = Repeated()
        self._sequence = Sequence(name, rate_hz, _HELD_S)
        self._seen_s: float | None = None
        self._broken = self._warned = False

    def interrupted(self) -> None:
        """Messages may have been lost."""
        self._broken = True

    def push(self, payload: bytes, now_s: float) -> Iterator[tuple[int, Samples]]:
        """Samples lost, and those that follow, float32 `(n, channels)`, in a message that arrived at `now_s`."""
        try:
            pieces = FORMATS[self._kind](payload, self._channels)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            self._cannot_read(payload, str(error))
            return
        for _, samples in pieces:
            if samples.shape[1] != self._channels:
                if self._seen_s is None:  # then the address is wrong
                    check_width(self._name, samples.shape[1], self._channels)
                self._cannot_read(payload, f"it has {samples.shape[1]} channels")
                return
        if pieces[0][0] is not None and self._repeated.push(payload, self._broken):
            return
        for number, samples in pieces:
            if number is None:
                self.unnumbered = True
                yield self._missing(len(samples), now_s), samples
            else:
                for frame, came_s in self._order.push(Frame(number, samples), now_s):
                    yield self._sequence.lost_before(frame.number, len(frame.samples), came_s), frame.samples
        self._seen_s, self._broken = now_s, False

    def _cannot_read(self, payload: bytes, why: str) -> None:
        self._broken = True
        if not self._warned:
            self._warned = True
            logging.getLogger("edge_res").warning(
                "%s: a message cannot be read as %s (%s) and is lost: %.60r.", self._name, self._kind, why, payload
            )

    def _missing(self, count: int, now_s: float) -> int:
        """Samples missing before `count` samples without a number."""
        if self._seen_s is None or not (self._broken or now_s - self._seen_s > self._silence_s):
            return 0
        return max(1, lost_by_clock(now_s - self._seen_s, self._rate_hz, count))
