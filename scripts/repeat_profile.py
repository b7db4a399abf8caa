#!/usr/bin/env python3
"""Does `profile` say the same when it says "stable"? Five times, and how far the stable medians are apart.

    python scripts/repeat_profile.py [TIMES] [PROFILE-OPTION]...

With another process on the cores (`sha256sum /dev/zero &`, one a core) each of them must be noisy.
"""

from __future__ import annotations

import json
import subprocess
import sys

ONE = ("--engine", "litert", "--mode", "step", "--threads", "1")


def main(arguments: list[str]) -> None:
    times = int(arguments[0]) if arguments else 5
    found = []
    for _ in range(times):
        command = [sys.executable, "-m", "edge_res.cli", "profile", *ONE, "--json", *arguments[1:]]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        (row,) = json.loads(done.stdout)["rows"]
        print(f"{row['verdict']}: p50 {row['p50_us']:.0f} µs, of {row['p50s_us']}: {row['why']}", flush=True)
        if row["verdict"] == "stable":
            found.append(row["p50_us"])
    apart = f", {max(found) / min(found) - 1:.0%} apart" if found else ""
    print(f"{len(found)} of {times} stable{apart}")


if __name__ == "__main__":
    main(sys.argv[1:])
