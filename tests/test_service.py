"""The unit file that docs/ has to start from."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.edgeres import REPOSITORY


def test_systemd_finds_nothing_wrong_with_the_unit() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    unit = REPOSITORY / "docs" / "edgeres.service"
    done = subprocess.run(["systemd-analyze", "--man=no", "verify", unit], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
