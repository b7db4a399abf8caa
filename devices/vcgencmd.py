"""What the firmware of a Raspberry Pi tells, by its program `vcgencmd`.

https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd. It needs the group `video`. A call starts a
process and takes some milliseconds: nothing for every hop.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_TIMEOUT_S = 1.0


def vcgencmd(*arguments: str, root: Path = Path("/")) -> str:
    """What the program prints; empty where it is not installed, is not allowed to ask, or hangs."""
    program = root / "usr/bin/vcgencmd"
    if not program.is_file():
        return ""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
