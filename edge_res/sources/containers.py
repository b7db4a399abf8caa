"""What WAV and OGG files say of their own length, and what they hold: libsndfile does not tell the difference."""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_STREAMED = 0x7FFFF000  # what writers to a pipe declare, who cannot know; 0: one that was killed
_MOST = 0xFFFFFFF0  # bytes that a header can declare
_PAGE = 65307  # bytes of an OGG page at most (RFC 3533, section 6)
_LAST = 4  # the flag of the last page of a stream


@dataclass(frozen=True)
class WavData:
    """The samples of a WAV file, in bytes: where they start, what the header declares and what the file has."""

    start: int
    declared: int
    held: int

    @property
    def untold(self) -> bool:
        """The header does not tell how many there are."""
        return self.held > 0 and (self.declared == 0 or _STREAMED <= self.declared > self.held)


def wav_data(path: str) -> WavData | None:
    """The data chunk; None for what is no WAV file, or one without samples."""
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                start = file.tell()
                return (
                    None
                    if length == 0 and _is_chunk(file.read(8), size - start)
                    else WavData(start, length, size - start)
                )
            file.seek(length + length % 2, os.SEEK_CUR)
    return None


def _is_chunk(head: bytes, left: int) -> bool:
    """Whether that is a chunk of its own, as titles are, and no samples."""
    if len(head) < 8:
        return False
    name, length = struct.unpack("<4sI", head)
    return all(32 <= letter < 127 for letter in name) and length <= left - 8


def with_length(path: str, data: WavData) -> mmap.mmap:
    """The file, to be read with a header that tells its length; a private copy on write, the file stays as it is."""
    with Path(path).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    mapped[4:8] = struct.pack("<I", min(data.start + data.held - 8, _MOST))
    mapped[data.start - 4 : data.start] = struct.pack("<I", min(data.held, _MOST))
    return mapped


def breaks_off(path: str) -> bool:
    """Whether an OGG file lacks the end of its stream; False for what is no OGG file."""
    with Path(path).open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27:
        return True
    segments = page[27 : 27 + page[26]]
    return not page[5] & _LAST or len(page) < 27 + page[26] + sum(segments)
