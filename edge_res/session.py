"""A recorded session, `.edgerec`: what sources delivered and what a model answered, so that a replay is exact.

The file begins with one line of JSON, the header. Records follow, each appended in a single write, so that a process
that is killed leaves whole records, except perhaps the last. All integers are little-endian.

======== ===== =================================================================================================
offset   size  of a record
======== ===== =================================================================================================
0        1     kind: ``B`` block, ``H`` health, ``L`` logits, ``F`` frames, ``E`` end
1        1     the source: its index in the header's list, from 0
2        1     the bundle: its index in the header's list, from 0 (only ``L`` and ``F``)
3        1     flags (only ``B``): bit 0: samples are int16 with full scale 32768, otherwise float32;
               bit 1: `time_us` is present
4        4     length of the payload in bytes
8        8     microseconds since the session began, on a clock that never goes back
16       4     CRC-32 (as in zlib) of the 16 bytes before it and the payload
20             payload
======== ===== =================================================================================================

The payloads:

- ``B``: `at` (uint64), `lost` (uint64), the number of samples (uint32), the length of `begins` (uint16), `begins` in
  UTF-8, `time_us` if bit 1 is set (int64, the Unix time of the first sample in microseconds), and the samples, axis 0
  being time. int16 is used only for blocks that it represents exactly, such as those of a 16-bit converter.
- ``H``: a JSON object with `state`, `reason` and `at_s`.
- ``L``: int8, the logits of a hop, one per label; only for hops that have scores.
- ``F``: int8 `(hop, bins, channels)`, the quantized frames of a hop; only if they were requested.
- ``E``: empty; the session was ended properly.

The keys of the header: `edgerec` (the version, 2; version 1 had no times of blocks and can still be read), `time`
(when the session began), `edge_res`, `numpy`, `processor`, `engine`, `mode`, `thresholds`, `sources` (`name`,
`rate_hz`, `channels`, `unit`) and `bundles` (`name`, `sha256`, `labels`, and `frames`, the shape of ``F``).
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_res.errors import SourceError
from edge_res.flow import Block, Health, Samples

VERSION = 2
_READ = (1, 2)  # versions
SUFFIX = ".edgerec"
_HEAD = struct.Struct("<cBBBIQ")
_CRC = struct.Struct("<I")
_BLOCK = struct.Struct("<QQIH")
_TIME = struct.Struct("<q")
_END_OF_TIME_US = 4102444800_000000  # the year 2100
_INT16, _TIMED = 1, 2  # bits of how a block is written
_LONGEST_HEADER = 1 << 20
_STATES = ("healthy", "alarmed", "recovering", "failed")


@dataclass(frozen=True)
class RecordedSource:
    name: str
    rate_hz: int
    channels: int
    unit: str


@dataclass(frozen=True)
class RecordedBundle:
    """A model that listened: `sha256` is of its files, `labels` their number, `frames` `(hop, bins, channels)`."""

    name: str
    sha256: str
    labels: int
    frames: tuple[int, int, int]


@dataclass(frozen=True)
class Header:
    time: str  # ISO 8601, when the recording began
    edge_res: str
    numpy: str
    processor: str
    engine: str
    mode: str
    thresholds: Mapping[str, float]
    sources: tuple[RecordedSource, ...]
    bundles: tuple[RecordedBundle, ...]

    def to_line(self) -> bytes:
        return json.dumps({"edgerec": VERSION, **asdict(self)}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Header:
        """Read what `to_line` wrote; raises what Python raises for anything else."""
        body = json.loads(line)
        if body.pop("edgerec") not in _READ:
            raise ValueError("another version")
        body["sources"] = tuple(RecordedSource(**each) for each in body["sources"])
        body["bundles"] = tuple(
            RecordedBundle(**{**each, "frames": tuple(map(int, each["frames"]))}) for each in body["bundles"]
        )
        header = cls(**body)
        counts = [source.rate_hz for source in header.sources] + [source.channels for source in header.sources]
        counts += [bundle.labels for bundle in header.bundles]
        names = [part for source in header.sources for part in (source.name, source.unit)]
        names += [part for bundle in header.bundles for part in (bundle.name, bundle.sha256)]
        thresholds = dict(header.thresholds)
        if not all(isinstance(name, str) for name in (*names, *thresholds)):
            raise ValueError("names that are not strings")
        if not all(type(value) in (int, float) for value in thresholds.values()):
            raise ValueError("thresholds that are not numbers")
        if not header.sources or not all(type(count) is int and 0 < count < 1 << 30 for count in counts):
            raise ValueError("no sources, or counts out of range")
        return header


@dataclass(frozen=True, slots=True)
class Record:
    kind: bytes
    source: int
    bundle: int
    code: int
    time_us: int
    payload: bytes


def exact_int16(samples: Samples) -> NDArray[np.int16] | None:
    """Float32 samples as int16, of which 32768 are full scale, if that holds each of them to the bit."""
    with np.errstate(invalid="ignore", over="ignore"):  # what does not fit does not come back either
        integers: NDArray[np.int16] = (samples * np.float32(32768)).astype("<i2")
    back = integers * np.float32(1 / 32768)
    return integers if np.array_equal(back.view(np.uint32), samples.view(np.uint32)) else None


def block_payload(block: Block) -> tuple[int, bytes]:
    """How a block is written, and the payload of its record."""
    samples = np.ascontiguousarray(block.samples, "<f4")
    integers = exact_int16(samples)
    begins = block.begins.encode(errors="replace")
    head = _BLOCK.pack(block.at, block.lost, len(samples), len(begins)) + begins
    code = 0 if integers is None else _INT16
    if block.time_us is not None:
        code |= _TIMED
        head += _TIME.pack(block.time_us)
    return code, head + (samples if integers is None else integers).tobytes()


def block_of(record: Record, source: RecordedSource) -> Block:
    """The block of a ``B`` record; raises `ValueError` or `struct.error` for what is not one."""
    at, lost, length, named = _BLOCK.unpack_from(record.payload)
    start = _BLOCK.size + named
    begins = record.payload[_BLOCK.size : start].decode()
    time_us = None
    if record.code & _TIMED:
        (time_us,) = _TIME.unpack_from(record.payload, start)
        if not 0 <= time_us < _END_OF_TIME_US:
            raise ValueError("a time out of range")
        start += _TIME.size
    dtype = "<i2" if record.code & _INT16 else "<f4"
    coded = np.frombuffer(record.payload, dtype, offset=start).reshape(length, source.channels)
    samples: Samples = coded * np.float32(1 / 32768) if record.code & _INT16 else coded.astype(np.float32)
    return Block(source.name, at, samples, lost, begins, time_us)


def health_of(record: Record, source: RecordedSource) -> Health:
    """The health in an ``H`` record; raises what Python raises for anything else."""
    body = json.loads(record.payload)
    if body["state"] not in _STATES:
        raise ValueError("an unknown state")
    return Health(source.name, body["state"], str(body["reason"]), float(body["at_s"]))


def pack(kind: bytes, payload: bytes, source: int, bundle: int, code: int, time_us: int) -> bytes:
    """A record as it is in the file."""
    head = _HEAD.pack(kind, source, bundle, code, len(payload), time_us)
    return head + _CRC.pack(zlib.crc32(payload, zlib.crc32(head))) + payload


class Session:
    """A recorded session to be read. Records count up to the first that is not whole.

    `cut` is a sentence if that is not all of the file, or if it was never ended; otherwise it is empty. `hops` are the
    logits and `frames` the frames that each `(source, bundle)` has. Raises `SourceError` for a file that is not a
    session.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.hops: dict[tuple[int, int], int] = {}
        self.frames: dict[tuple[int, int], int] = {}
        self.samples: dict[int, int] = {}  # of each source
        try:
            with Path(path).open("rb") as file:
                self.header = self._header(file)
                self._start = self._end = file.tell()
                self._scan(file)
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            if isinstance(error, SourceError):
                raise
            raise SourceError(f"{path} cannot be read: {error.strerror}.") from None
        self.cut = ""
        if size > self._end:
            self.cut = (
                f"{path} is whole up to {self._length_s:.1f} s of the recording: the last {size - self._end} of its "
                f"{size} bytes are cut off or damaged, and left out."
            )
        elif not self._ended:
            self.cut = (
                f"{path} was never ended: its recorder was killed or its disk was full, {self._length_s:.1f} s after "
                "it began."
            )

    def records(self, source: int, kinds: bytes, bundle: int = 0) -> Iterator[Record]:
        """The records of some kinds, of one source and one bundle, in their order."""
        with Path(self.path).open("rb") as file:
            file.seek(at := self._start)
            while at < self._end:
                kind, place, member, code, length, time_us = _HEAD.unpack(file.read(_HEAD.size))
                if kind in kinds and (place, member) == (source, bundle):
                    file.seek(_CRC.size, os.SEEK_CUR)
                    yield Record(kind, place, member, code, time_us, file.read(length))
                else:
                    file.seek(_CRC.size + length, os.SEEK_CUR)
                at += _HEAD.size + _CRC.size + length

    def _header(self, file: BinaryIO) -> Header:
        line = file.readline(_LONGEST_HEADER)
        try:
            return Header.from_line(line)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise SourceError(
                f"{self.path} is not a readable session of version {VERSION}; record it with `edgeres listen --record`."
            ) from None

    def _scan(self, file: BinaryIO) -> None:
        """Check and count all records up to the first that is not whole."""
        self._ended, self._length_s = False, 0.0
        while (record := _read(file)) and not self._ended and self._counts(record):
            self._end = file.tell()
            self._length_s = record.time_us / 1e6

    def _counts(self, record: Record) -> bool:
        """Count a record; False for one that no writer of this version wrote."""
        key, header = (record.source, record.bundle), self.header
        if record.source >= len(header.sources) or record.bundle >= max(1, len(header.bundles)):
            return False
        source = header.sources[record.source]
        try:
            if record.kind == b"B":
                length = len(block_of(record, source).samples)
                self.samples[record.source] = self.samples.get(record.source, 0) + length
            elif record.kind == b"H":
                health_of(record, source)
            elif record.kind == b"L" and len(record.payload) == header.bundles[record.bundle].labels:
                self.hops[key] = self.hops.get(key, 0) + 1
            elif record.kind == b"F" and len(record.payload) == math.prod(header.bundles[record.bundle].frames):
                self.frames[key] = self.frames.get(key, 0) + 1
            else:
                self._ended = record.kind == b"E"
                return self._ended
        except (ValueError, TypeError, KeyError, IndexError, struct.error, RecursionError):
            return False
        return True


def _read(file: Any) -> Record | None:
    """The next record; None if there is no whole one."""
    head = file.read(_HEAD.size)
    crc = file.read(_CRC.size)
    if len(crc) < _CRC.size:
        return None
    kind, source, bundle, code, length, time_us = _HEAD.unpack(head)
    left = os.fstat(file.fileno()).st_size - file.tell()
    payload = file.read(length) if length <= left else b""
    if length > left or zlib.crc32(payload, zlib.crc32(head)) != _CRC.unpack(crc)[0]:
        return None
    return Record(kind, source, bundle, code, time_us, payload)
