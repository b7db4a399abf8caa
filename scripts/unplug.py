"""A microphone that is unplugged again and again, for real: `python scripts/unplug.py [CYCLES]`, from the repository.

Prints what the listener saw in each cycle; exit code 1 when one took over 2 s, or stated a gap over 20 ms off the true
one, or gave a wrong sample. (What a suspended microphone still held from before comes after the gap that is stated:
there, up to 0.1 s of samples may be at the wrong side of it.)
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.unplug import cycles

KINDS = ("unplugged", "unplugged", "server killed", "suspended")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    bad = 0
    for i, cycle in enumerate(cycles(KINDS, count)):
        fine = (
            cycle.back_s < 2 and abs(cycle.error_ms) < 20 and cycle.wrong <= (4800 if cycle.kind == "suspended" else 0)
        )
        bad += not fine
        print(
            f"{i:2} {cycle.kind:13} back after {cycle.back_s:.2f} s, stated {cycle.stated_ms:6.0f} ms, off by "
            f"{cycle.error_ms:+5.1f} ms, {cycle.wrong} wrong, {cycle.threads} threads, {cycle.rss_mb:.1f} MB"
            f"{'' if fine else '  <---'}",
            flush=True,
        )
    print(f"{count} cycles, {bad} bad")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
