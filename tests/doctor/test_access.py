"""Devices in a tree, opened by a user without permission."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_res.doctor import access
from tests.edgeres import REPOSITORY

# Imports come first: the user nobody may not read this Python's files or ours.
AS_NOBODY = """
import json, os, sys
from dataclasses import asdict
from pathlib import Path
from edge_res.doctor.access import check_group, check_sensors
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
root = Path(sys.argv[1])
print(json.dumps([asdict(found) for check in (check_group, check_sensors) for found in check(root)]))
"""
AUDIO, DIALOUT = 29, 20  # Debian's, base-passwd


@pytest.fixture
def root() -> Iterator[Path]:
    """A tree that every user can enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "dev/snd").mkdir(parents=True)
        yield path


def node(path: Path, group: int, mode: int) -> None:
    path.touch()
    os.chown(path, 0, group)
    path.chmod(mode)


def found_by_nobody(root: Path) -> list[dict[str, str]]:
    if os.getuid() != 0:
        pytest.skip("needs root, to become the user nobody: run it as root")
    command = [sys.executable, "-c", AS_NOBODY, str(root)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_the_groups_with_access_are_reported_with_the_command_to_join(root: Path) -> None:
    node(root / "dev/snd/pcmC1D0c", AUDIO, 0o660)
    node(root / "dev/snd/pcmC1D0p", AUDIO, 0o660)  # plays
    node(root / "dev/ttyUSB0", DIALOUT, 0o660)
    node(root / "dev/ttyACM0", DIALOUT, 0o660)
    sound, sensors = found_by_nobody(root)
    assert sound == {
        "what": "group",
        "severity": "warning",
        "sentence": "nobody may not open pcmC1D0c; join the group audio and log in again.",
        "command": "sudo usermod -aG audio nobody",
    }
    assert sensors["sentence"] == "nobody may not open ttyACM0, ttyUSB0; join the group dialout and log in again."
    assert sensors["command"] == "sudo usermod -aG dialout nobody"


def test_a_group_without_access_is_not_suggested(root: Path) -> None:
    node(root / "dev/snd/pcmC0D0c", 0, 0o660)
    node(root / "dev/iio:device0", AUDIO, 0o600)
    sound, sensors = found_by_nobody(root)
    assert "nor may its group, root" in sound["sentence"]
    assert """'KERNEL=="pcmC0D0c", GROUP="audio", MODE="0660"'""" in sound["command"]
    assert "nor may its group, audio" in sensors["sentence"]
    assert """'KERNEL=="iio:device0", GROUP="plugdev", MODE="0660"'""" in sensors["command"]


def test_a_device_that_may_be_opened_is_ok(root: Path) -> None:
    node(root / "dev/snd/pcmC0D0c", AUDIO, 0o666)
    (found,) = found_by_nobody(root)
    assert (found["severity"], found["sentence"]) == ("ok", "nobody may record from pcmC0D0c.")


def test_without_devices_there_are_no_findings(root: Path) -> None:
    assert [*access.check_group(root), *access.check_sensors(root)] == []


def test_a_group_joined_since_logging_in_is_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "dev/snd/pcmC0D0c"
    path.touch()
    path.chmod(0o660)
    if os.getuid() == 0:
        os.chown(path, 0, AUDIO)
    monkeypatch.setattr(access, "_members", lambda group: [access.user()])
    (found,) = access.judge_access("group", [path])
    assert "has joined it, but since logging in: log in again" in found.sentence
