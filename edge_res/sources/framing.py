"""Binary frames of samples, as sensors send them over a serial line and by UDP: docs/reference/sensor-frame.md.

Little-endian: sync word A5 5A · type, `h` int16 or `f` float32 (1 byte) · channels (1) · count of samples (2) ·
sequence number (4), the index of the frame's first sample modulo 2**32 · the samples, channel after channel of each ·
CRC-32 (zlib's) of all that lies between the sync word and itself (4). Since samples are numbered and not frames, what
is missing between two frames is known exactly, whatever the lengths of those that were lost.
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
NUMBERS = 1 << 32  # sequence numbers there are
MOST_CHANNELS = 8
MOST_BYTES = 16384  # of samples in a frame: what a damaged length can have a reader wait for
_HEADER = struct.Struct("<2sBBHI")
_CRC = struct.Struct("<I")
_DTYPES: dict[int, np.dtype[Any]] = {ord("h"): np.dtype("<i2"), ord("f"): np.dtype("<f4")}


@dataclass(frozen=True, slots=True)
class Frame:
    """`samples` are float32 `(count, channels)`, as sent; `number` is that of the first."""

    number: int
    samples: Samples


def pack_frame(number: int, samples: NDArray[Any], kind: Literal["h", "f"] = "h") -> bytes:
    """The bytes of a frame of `(count, channels)` samples; int16 values must fit."""
    count, channels = samples.shape
    coded = samples.astype(_DTYPES[ord(kind)], casting="same_kind" if kind == "f" else "unsafe")
    body = _HEADER.pack(SYNC, ord(kind), channels, count, number % NUMBERS)[len(SYNC) :] + coded.tobytes()
    return SYNC + body + _CRC.pack(zlib.crc32(body))


def read_frame(data: bytes | bytearray, at: int = 0) -> tuple[Frame | None, int]:
    """The frame that begins at byte `at`, and its end; None where it is none, or reaches beyond the data.

    The end tells these two apart: it is `at` where no frame can begin there, and else how far it has to be read.
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
    """Finds the frames in a stream of bytes, however it is split, and finds back to them after garbage.

    What may be the beginning of a frame is waited for, until it is whole or a whole one lies behind it: then it was
    none. Holds at most one frame.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def push(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete."""
        held = self._held
        held += data
        waiting: int | None = None  # where the first frame begins that is not whole yet
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
        """Forget what is held: what comes next does not follow it."""
        self._held.clear()
