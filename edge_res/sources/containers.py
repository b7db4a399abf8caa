"""The lengths that WAV and OGG files declare, and what they really hold, which libsndfile does not report."""

from __future__ import annotations

import mmap
import os
import re
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

_PCM = (1, 3, 0xFFFE)  # format tags of uncompressed samples: integers, floats, either
_STREAMED = 0x7FFFF000  # declared by writers to a pipe, who cannot know the length; 0 by one that was killed
_FORMAT = struct.Struct("<H10xH")  # of a WAV file: format tag, bytes of a sample
_MOST = 0xFFFFFFF0  # the largest length that a header can declare
_BEXT = struct.Struct("<320x10s8sQ")  # OriginationDate, OriginationTime, TimeReference (samples since midnight)
_END_OF_TIME_S = 4102444800  # the year 2100
_PAGE = 65307  # bytes in the longest OGG page (RFC 3533, section 6)
_PAGE_HEAD = 27  # bytes before the segment table
_FIRST, _LAST = 2, 4  # the flags of the first and the last page of a stream


@dataclass(frozen=True)
class WavData:
    """The samples of a WAV file, in bytes: where they start, the declared length, and the length the file really has.

    `sample` is the size of one sample of all channels, 1 if they are compressed. `beyond` counts the bytes after the
    declared end that are not metadata chunks: the file was joined from several, or is too long.
    """

    start: int
    declared: int
    held: int
    sample: int
    beyond: int

    @property
    def untold(self) -> bool:
        """Whether the header does not give the length."""
        return self.held > 0 and (self.declared == 0 or _STREAMED <= self.declared > self.held)

    @property
    def rest(self) -> int:
        """Bytes of an incomplete sample at the end."""
        return (self.held if self.untold else min(self.declared, self.held)) % self.sample


def wav_data(path: str) -> WavData | None:
    """The data chunk; None if the file is not a WAV file, or has no samples."""
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        sample = 1
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"fmt " and length >= _FORMAT.size:
                tag, align = _FORMAT.unpack(file.read(_FORMAT.size).ljust(_FORMAT.size, b"\0"))
                sample = max(1, align) if tag in _PCM else 1
                length -= _FORMAT.size
            if name == b"data":
                start = file.tell()
                if length == 0 and _is_chunk(file.read(8), size - start):
                    return None
                file.seek(end := start + length + length % 2)
                beyond = 0 if size - end < 8 or _is_chunk(file.read(8), size - end) else size - end
                return WavData(start, length, size - start, sample, beyond)
            file.seek(length + length % 2, os.SEEK_CUR)
    return None


def _is_chunk(head: bytes, left: int) -> bool:
    """Whether these bytes begin a chunk, such as metadata, or an ID3 tag, instead of being samples."""
    if len(head) < 8:
        return False
    name, length = struct.unpack("<4sI", head)
    return (name.startswith(b"TAG") and left == 128) or (
        name != b"RIFF" and all(32 <= letter < 127 for letter in name) and length <= left - 8
    )


def stated_start_us(path: str, date: str, rate_hz: int) -> int | None:
    """When a recording says that it was begun, in microseconds of Unix time; None where it does not say.

    A Broadcast WAV file says it in its chunk `bext` (EBU Tech 3285), to the sample where its time reference agrees with
    its origination time. Others may have a title `date` (in WAV `ICRD`), which counts where it is a whole ISO 8601 date
    and time. Without a time zone it is local time.
    """
    try:
        start = _bext_start(path, rate_hz)
        if start is None and re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", date):
            start = datetime.fromisoformat(date.strip().replace("Z", "+00:00"))
        start_s = None if start is None else start.timestamp()
    except (OverflowError, OSError, ValueError):  # not a date, or one before or after all clocks
        return None
    return round(1e6 * start_s) if start_s is not None and 0 <= start_s < _END_OF_TIME_S else None


def _bext_start(path: str, rate_hz: int) -> datetime | None:
    with Path(path).open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                return None  # it comes before the samples
            if name == b"bext" and length >= _BEXT.size:
                day, clock, reference = _BEXT.unpack(file.read(_BEXT.size))
                text = f"{day.decode('ascii', 'replace')} {clock.decode('ascii', 'replace')}"
                try:
                    year, month, date, hour, minute, second = map(int, re.findall(r"\d+", text))
                    stated = datetime(year, month, date, hour, minute, second)
                except ValueError:
                    return None
                exact = datetime(year, month, date) + timedelta(seconds=min(reference / rate_hz, 86400.0))
                return exact if abs(exact - stated) < timedelta(seconds=2) else stated
            file.seek(length + length % 2, os.SEEK_CUR)
    return None


class _Mapped(mmap.mmap):
    """Allows seeking beyond the end, as a file does: libsndfile looks there for the next chunk."""

    def seek(self, position: int, whence: int = os.SEEK_SET) -> Any:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: len(self)}[whence]
        return super().seek(min(begin + position, len(self)))


def with_length(path: str, data: WavData) -> mmap.mmap:
    """The file with a header that gives its real length, as a private mapping: the file itself does not change."""
    with Path(path).open("rb") as file:
        mapped = _Mapped(file.fileno(), 0, access=mmap.ACCESS_COPY)
    mapped[4:8] = struct.pack("<I", min(data.start + data.held - 8, _MOST))
    mapped[data.start - 4 : data.start] = struct.pack("<I", min(data.held, _MOST))
    return mapped


def breaks_off(path: str) -> bool:
    """Whether an OGG file lacks the end of its stream; False for other files."""
    with Path(path).open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    return len(page) < _PAGE_HEAD or not page[5] & _LAST or len(page) < _page_size(page)


def goes_on(path: str) -> bool:
    """Whether a second stream follows the first one in an OGG file, as when files were joined."""
    ended = False
    with Path(path).open("rb") as file:
        while len(page := file.read(_PAGE_HEAD + 255)) >= _PAGE_HEAD and page[:4] == b"OggS":
            if ended and page[5] & _FIRST:
                return True
            ended = ended or bool(page[5] & _LAST)
            file.seek(_page_size(page) - len(page), os.SEEK_CUR)
    return False


def _page_size(page: bytes) -> int:
    """Bytes of an OGG page, by its header and the segment table after it."""
    segments = page[_PAGE_HEAD : _PAGE_HEAD + page[26]]
    return _PAGE_HEAD + page[26] + sum(segments)
