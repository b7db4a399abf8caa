"""Binary frames of samples, as sensors send them over serial lines, UDP and MQTT (docs/reference/sensor-frame.md).

Little-endian: sync word A5 5A · type, `h` int16 or `f` float32 (1 byte) · channels (1) · number of samples (2) ·
sequence number (4), the index of the frame's first sample modulo 2**32 · the samples, all channels of one after the
other · CRC-32 (zlib's) of everything between the sync word and itself (4). Since samples are numbered instead of
frames, the loss between two frames is known exactly, whatever the lengths of the lost ones were.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_res.flow import Samples

SYNC = b"\xa5\x5a"
NUMBERS = 1 << 32  # sequence numbers are modulo that
MOST_CHANNELS = 8
MOST_BYTES = 16384  # of samples in a frame: the most that a damaged length makes a reader wait for
_HEADER = struct.Struct("<2sBBHI")
_CRC = struct.Struct("<I")
_DTYPES: dict[int, np.dtype[Any]] = {ord("h"): np.dtype("<i2"), ord("f"): np.dtype("<f4")}


@dataclass(frozen=True, slots=True)
class Frame:
    """`samples` are float32 `(count, channels)`, as sent; `number` is the index of the first."""

    number: int
    samples: Samples


def pack_frame(number: int, samples: NDArray[Any], kind: Literal["h", "f"] = "h") -> bytes:
    """The bytes of a frame of samples `(count, channels)`; for `h` they must fit into int16.

    >>> frame, end = read_frame(pack_frame(1200, np.array([[1, 2, 3], [4, 5, 6]])))
    >>> frame.number, frame.samples.tolist(), end
    (1200, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], 26)
    """
    count, channels = samples.shape
    coded = samples.astype(_DTYPES[ord(kind)], casting="same_kind" if kind == "f" else "unsafe")
    body = _HEADER.pack(SYNC, ord(kind), channels, count, number % NUMBERS)[len(SYNC) :] + coded.tobytes()
    return SYNC + body + _CRC.pack(zlib.crc32(body))


def read_frame(data: bytes | bytearray, at: int = 0) -> tuple[Frame | None, int]:
    """The frame that begins at byte `at`, and its end; None if there is none, or if it reaches beyond the data.

    The end distinguishes the two: it is `at` if no frame can begin there, and otherwise how far the data must reach.
    """
    if not data.startswith(SYNC[: len(data) - at], at):
        return None, at
    if len(data) - at < _HEADER.size:
        return None, at + _HEADER.size
    _, kind, channels, count, number = _HEADER.unpack_from(data, at)
    dtype = _DTYPES.get(kind)
    if dtype is None or not 1 <= channels <= MOST_CHANNELS or not 1 <= count * channels * dtype.itemsize <= MOST_BYTES:
        return None, at
    first = at + _HEADER.size
    last = first + count * channels * dtype.itemsize
    end = last + _CRC.size
    if end > len(data):
        return None, end
    body = bytes(data[at + len(SYNC) : last])
    if zlib.crc32(body) != _CRC.unpack_from(data, last)[0]:
        return None, at
    coded = np.frombuffer(body, dtype, offset=_HEADER.size - len(SYNC))
    return Frame(number, coded.reshape(count, channels).astype(np.float32)), end


class Decoder:
    """Finds the frames in a stream of bytes, however it is split, and resynchronises after garbage.

    It waits for the rest of what may be a frame until it is complete, or until a complete frame follows, which shows
    that it was not one. Holds at most one frame.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def push(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete."""
        held = self._held
        held += data
        waiting: int | None = None  # where the first incomplete frame begins
        done = at = 0
        while (at := held.find(SYNC[0], at)) >= 0:
            frame, end = read_frame(held, at)
            if frame:
                yield frame
                done = at = end
            else:
                if end > at and waiting is None:
                    waiting = at
                at += 1
        del held[: len(held) if waiting is None else max(done, waiting)]

    def reset(self) -> None:
        """Forget what is held: the next bytes do not follow it."""
        self._held.clear()
