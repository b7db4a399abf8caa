"""Try something in a separate process, which may crash or hang without harm."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGES = Path(__file__).parents[2]  # the folder that edge_res is in
TIMEOUT_S = 120.0  # for a slow SD card, or emulation
_MEANING = {"SIGILL": ": it uses an instruction that this processor lacks", "SIGKILL": ": is the memory full?"}
# Finds packages where `edgeres` does: never in the working folder, and in the clone only if edge_res is not installed.
_START = """
import sys
sys.path = [folder for folder in sys.path if folder]
if sys.argv[1] not in sys.path:
    sys.path.insert(0, sys.argv[1])
from edge_res.doctor.inside import main
main(*sys.argv[2:])
"""


@dataclass(frozen=True)
class Answer:
    """The `value` that came back; if it is None, `why`, to end a sentence."""

    value: Any
    why: str = ""
    hangs: bool = False


def ask(name: str, *arguments: str, timeout_s: float = TIMEOUT_S) -> Answer:
    """What the function `name` of `edge_res.doctor.inside` returns, called in a new process."""
    command = [sys.executable, "-c", _START, str(_PACKAGES), name, *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        return Answer(None, f"no answer within {timeout_s:.0f} s", hangs=True)
    if done.returncode == 0:
        return Answer(json.loads(done.stdout.splitlines()[-1]))
    return Answer(None, reason(done.returncode, done.stderr))


def reason(code: int, stderr: str) -> str:
    """How a process failed: the signal that ended it, or the last line of its traceback."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"it was killed by {name}{_MEANING.get(name, '')}"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else f"it ended with exit code {code}"
