"""A microphone that is unplugged again and again, for real: `python scripts/unplug.py [CYCLES]`, from the repository.

Prints what the listener saw in each cycle, and the worst of all. Exit code 1 when one took over 2 s, told a gap where
the microphone was there, stated one over 20 ms off the true one, or gave a wrong sample, and when a thread or over 4 MB
are left behind. (What a suspended microphone still held from before comes after the gap that is stated: there, up to
0.1 s of samples may be at the wrong side of it.)
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.unplug import Cycle, cycles

KINDS = ("unplugged", "unplugged", "server killed", "suspended")


def is_fine(cycle: Cycle) -> bool:
    wrong = 4800 if cycle.kind == "suspended" else 0
    return cycle.kind != "there" and 0 < cycle.back_s < 2 and abs(cycle.error_ms) < 20 and cycle.wrong <= wrong


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seen = []
    for i, cycle in enumerate(cycles(KINDS, count)):
        seen.append(cycle)
        print(
            f"{i:2} {cycle.kind:13} back after {cycle.back_s:.2f} s, stated {cycle.stated_ms:6.0f} ms, off by "
            f"{cycle.error_ms:+5.1f} ms, {cycle.wrong} wrong, {cycle.threads} threads, {cycle.rss_mb:.1f} MB"
            f"{'' if is_fine(cycle) else '  <---'}",
            flush=True,
        )
    bad = sum(not is_fine(cycle) for cycle in seen)
    threads, grown_mb = {cycle.threads for cycle in seen}, seen[-1].rss_mb - seen[0].rss_mb
    print(
        f"{count} cycles, {bad} bad: at worst back after {max(cycle.back_s for cycle in seen):.2f} s, off by "
        f"{max(abs(cycle.error_ms) for cycle in seen):.1f} ms; {' or '.join(map(str, sorted(threads)))} threads, "
        f"{grown_mb:+.1f} MB"
    )
    sys.exit(bool(bad) or len(threads) > 1 or grown_mb > 4)


if __name__ == "__main__":
    main()
