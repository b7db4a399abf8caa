"""What happens when stdout cannot take more: a full disk is said in a sentence, a reader that has gone is none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_res.errors import OutputError


@contextmanager
def writing() -> Iterator[None]:
    """While something is written to stdout."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"stdout cannot be written: {error.strerror}; make room, or write elsewhere.") from None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def replace_file(path: Path, text: str) -> None:
    """Write a file so that who reads it has the old one or the new one; raises `OutputError`.

    What is there and is no file, such as /dev/null, is not replaced.
    """
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} cannot be written: it is no file, and one would take its place; name another file.")
    draft = path.parent / f".{path.name}.{os.getpid()}"
    try:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise OutputError(f"{path} cannot be written: {error.strerror}; make room, or name another file.") from None
