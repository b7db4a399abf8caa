"""What a WAV file says that it holds, and what it holds: libsndfile does not tell the difference."""

from __future__ import annotations

import os
import struct
from pathlib import Path


def data_bytes(path: str) -> tuple[int, int] | None:
    """The bytes of samples that the header declares, and those that the file has; None for what is no WAV file."""
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                return length, size - file.tell()
            file.seek(length + length % 2, os.SEEK_CUR)
    return None
