"""A file is replaced whole or not at all, whatever goes wrong while it is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_res.errors import OutputError
from edge_res.writing import replace_file


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that were synced to the disk."""
    found: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: found.append(os.fstat(descriptor).st_size))
    return found


def test_text_is_written_as_utf8_and_bytes_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x"
    replace_file(path, "für\n")
    assert path.read_bytes() == "für\n".encode()
    replace_file(path, b"\xff\n")
    assert path.read_bytes() == b"\xff\n"
    replace_file(path, "\udcff")  # a file name that is not UTF-8, as Python reads it
    assert path.read_text() == "\\udcff"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("durable", [True, False])
def test_only_a_durable_file_is_synced_and_before_it_takes_its_place(
    tmp_path: Path, synced: list[int], durable: bool
) -> None:
    replace_file(tmp_path / "x", b"four", durable=durable)
    assert synced == ([4] if durable else [])


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path, umask: int) -> None:
    replace_file(tmp_path / "x", b"")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    path.chmod(0o604)
    replace_file(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(descriptor: int) -> None:
        raise failure

    path = tmp_path / "x"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((OutputError, KeyboardInterrupt)) as caught:
        replace_file(path, b"new")
    if isinstance(failure, OSError):
        assert str(caught.value) == (
            f"{path} cannot be written: No space left on device; make room, or name another file."
        )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_sentence_ends_with_the_hint(tmp_path: Path) -> None:
    path = tmp_path / "none" / "x"
    with pytest.raises(OutputError) as caught:
        replace_file(path, b"", hint="the bundle is whole")
    assert str(caught.value) == f"{path} cannot be written: No such file or directory; the bundle is whole."


def test_what_is_not_a_regular_file_is_not_replaced(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(OutputError) as caught:
            replace_file(path, b"")
        assert str(caught.value) == (
            f"{path} cannot be written: it is not a regular file and would be replaced by one; name another file."
        )
    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [folder, pipe]


def test_a_symbolic_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles" / "config.toml").write_text("old")
    (tmp_path / "config.toml").symlink_to("dotfiles/config.toml")
    replace_file(tmp_path / "config.toml", "new")
    assert (tmp_path / "config.toml").is_symlink()
    assert (tmp_path / "dotfiles" / "config.toml").read_text() == "new"
