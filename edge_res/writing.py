"""Writing to stdout and to files: a full disk is one plain sentence, and a file is replaced whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_res.errors import OutputError


@contextmanager
def writing(where: str = "stdout") -> Iterator[None]:
    """Around writing to stdout or an open file: a full disk raises `OutputError`; a reader that went away does not."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{where} cannot be written: {error.strerror}; make room, or write elsewhere.") from None


def replace_file(
    path: Path, content: str | bytes, *, durable: bool = True, hint: str = "make room, or name another file"
) -> None:
    """Write a file so that a reader sees the old content or the new, never a part of it.

    With `durable`, this holds across a power cut too: the content is on the disk before it takes the old one's place.
    A file that is replaced keeps its permissions, and the umask sets those of a new one. A symbolic link stays; what
    it points to is replaced. A string is written as UTF-8.
    Raises `OutputError`, whose sentence ends with `hint`; what is not a regular file, such as `/dev/null`, stays.
    """
    raw = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    target = path.resolve() if path.is_symlink() else path
    draft = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        before = path.stat() if path.exists() else None
        if before and not stat.S_ISREG(before.st_mode):
            raise OutputError(
                f"{path} cannot be written: it is not a regular file and would be replaced by one; name another file."
            )
        _write_new(draft, raw, durable)
        if before:
            draft.chmod(before.st_mode & 0o777)
        draft.replace(target)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; {hint}.") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def _write_new(path: Path, raw: bytes, durable: bool) -> None:
    """Write a file that does not exist yet."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        if durable:
            os.fsync(file.fileno())
