"""CPU seconds and peak memory of starting and of a short listen: `python tests/benchmarks/startup.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

RUNS = 7
CASES = {
    "edgeres --help": ["--help"],
    "edgeres --version": ["--version"],
    "edgeres listen demo:": ["listen", "demo:"],
}


def cost(arguments: list[str]) -> tuple[float, float]:
    """CPU seconds and peak resident MB of one run."""
    command = [sys.executable, "-m", "edge_res.cli", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    for name, arguments in CASES.items():
        seconds, megabytes = zip(*(cost(arguments) for _ in range(RUNS)), strict=True)
        print(f"{name:22} {median(seconds):.2f} CPU-seconds, {median(megabytes):.0f} MB at most (median of {RUNS})")


if __name__ == "__main__":
    main()
