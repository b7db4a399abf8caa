"""Damaged bundles, some hundreds here; `scripts/fuzz.py` does as many as wanted."""

from __future__ import annotations

import subprocess
import sys

from tests.edgeres import REPOSITORY


def test_damaged_bundles_are_refused_or_right_and_nothing_crashes() -> None:
    command = [sys.executable, str(REPOSITORY / "scripts" / "fuzz.py"), "300"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout.split()[0]) > 250  # the rest damaged nothing that is read
    assert "refused" in run.stdout
