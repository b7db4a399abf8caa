"""Eight real microphones on one core: `scripts/several.py`, a short run of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.edgeres import REPOSITORY
from tests.pulse import missing_package


def test_eight_microphones_lose_nothing_on_one_core() -> None:
    if package := missing_package():
        pytest.skip(f"needs a microphone for tests: apt-get install {package}")
    command = [sys.executable, str(REPOSITORY / "scripts" / "several.py"), "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "% of it, 0 samples lost" in done.stdout
    assert done.stdout.count("0 samples lost; a hop took") == 8
