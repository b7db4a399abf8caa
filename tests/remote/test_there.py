"""The program that runs on the other machine, tried here without ssh."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_res.remote import there
from edge_res.remote.package import requirements

TASK = {"task": "profile", "arguments": ["info"], "install": False, "requirements": []}


def started(temporary: Path, files: Sequence[tuple[str, int]]) -> subprocess.Popen[bytes]:
    """The program, started and sent the task with a list of files."""
    process = subprocess.Popen(
        [sys.executable, str(there.__file__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.stdin
    process.stdin.write(json.dumps({**TASK, "files": files}).encode() + b"\n")
    process.stdin.flush()
    return process


def many_files() -> bytes:
    """An archive that takes a while to unpack."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(500):
            archive.writestr(f"edge_res/{number}/x", b"0" * 1000)
    return packed.getvalue()


@pytest.mark.parametrize("attempt", range(3))
def test_nothing_is_left_if_cut_off_while_unpacking(tmp_path: Path, attempt: int) -> None:
    package = many_files()
    with started(tmp_path, [("package.zip", len(package))]) as process:
        assert process.stdin
        process.stdin.write(package)
        process.stdin.flush()
        until_s = time.monotonic() + 20
        while not list(tmp_path.glob("*/edge_res/*")):
            assert time.monotonic() < until_s
        process.stdin.close()
        assert process.wait(20) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sent", [0, 1000])
def test_nothing_is_left_if_cut_off_before_all_has_arrived(tmp_path: Path, sent: int) -> None:
    with started(tmp_path, [("package.zip", 2000)]) as process:
        process.communicate(b"0" * sent, timeout=20)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_a_file_is_created_ends_it(tmp_path: Path) -> None:
    """The handler runs in the thread that it interrupts, which holds the lock."""
    code = (
        "import os, signal, sys, threading, time\n"
        "from edge_res.remote import there\n"
        "def profile(work, task):\n"
        "    with work.lock:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(0.2)\n"
        "    time.sleep(60)\n"
        "there.profile = profile\n"
        "there.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert process.stdin
    process.stdin.write(json.dumps({**TASK, "files": []}).encode() + b"\n")
    process.stdin.flush()
    try:
        assert process.wait(20) == 1
    finally:
        process.kill()
        process.stdin.close()
        process.wait()
    assert list(tmp_path.iterdir()) == []


def test_defaults_of_the_hosts_user_play_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGERES_CONFIG", "/home/pi/edgeres.toml")
    work = there.Work(str(tmp_path))
    assert work.run(sys.executable, "-c", "import os; print(os.environ['EDGERES_CONFIG'])") == (0, "/dev/null\n", "")
    work.clear()


def test_an_environment_is_created_on_a_disk_unless_the_user_names_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    assert there.place(install=True) == "/var/tmp"
    assert there.place(install=False) is None
    monkeypatch.setenv("TMPDIR", "/mnt/usb")
    assert there.place(install=True) is None


@pytest.mark.parametrize("version", [(3, 10), (3, 11)])
def test_all_requirements_are_checked(version: tuple[int, int]) -> None:
    """All requirements but the microphone's; tomli only before Python 3.11."""
    nothing = (
        f"import sys, importlib.util\nsys.version_info = {version}\nimportlib.util.find_spec = lambda name: None\n"
    )
    done = subprocess.run([sys.executable, "-c", nothing + there.CHECK], capture_output=True, text=True)
    needed = {re.split("[><;]", text)[0] for text in requirements()} - {"sounddevice", "tomli"}
    assert set(done.stdout.split()) == needed | ({"tomli"} if version < (3, 11) else set())
