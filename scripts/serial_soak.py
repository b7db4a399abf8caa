"""A board at 1 kHz × 3 channels, one frame in a hundred damaged: `python scripts/serial_soak.py [SECONDS]`

For a minute, if not told otherwise. The board is a pseudo-terminal, played at its own pace by another process; each
sample says where it belongs. Prints what was lost, wrong and received, and the share of a core that listening took.
Exit code 1 where the account is not exact.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edge_res.flow import Block
from edge_res.sources import Source, Wanted, open_source
from edge_res.sources.framing import pack_frame

RATE_HZ, CHANNELS, PER_FRAME = 1000, 3, 10


def samples_at(first: int, count: int) -> np.ndarray:
    at = np.arange(first, first + count)[:, np.newaxis]
    return (at * [1, 3, 7] + [0, 1, 2]) % 32768


class Account(NamedTuple):
    """Samples received, told lost in so many gaps, and those received that are not what belongs there."""

    received: int = 0
    lost: int = 0
    gaps: int = 0
    wrong: int = 0


def accounts(source: Source) -> Iterator[Account]:
    """The account by now, after each item that the source gives."""
    received = lost = gaps = wrong = 0
    for item in source:
        if isinstance(item, Block):
            received += len(item.samples)
            lost += item.lost
            gaps += item.lost > 0
            wrong += int((item.samples != samples_at(item.at, len(item.samples))).any(axis=1).sum())
        yield Account(received, lost, gaps, wrong)


def play(fd: int, total: int) -> None:
    """Write the frames, 1 % of them with a byte changed, the first and the last whole."""
    rng, count = random.Random(1), total // PER_FRAME
    damaged = set(rng.sample(range(1, count - 1), count // 100))
    began_s = time.monotonic()
    for i in range(count):
        frame = bytearray(pack_frame(i * PER_FRAME, samples_at(i * PER_FRAME, PER_FRAME)))
        if i in damaged:
            frame[rng.randrange(len(frame))] ^= rng.randrange(1, 256)
        time.sleep(max(0.0, began_s + i * PER_FRAME / RATE_HZ - time.monotonic()))
        os.write(fd, frame)
    time.sleep(0.5)


def main() -> None:
    total = round(float(sys.argv[1]) * RATE_HZ) if len(sys.argv) > 1 else 60 * RATE_HZ
    master, slave = os.openpty()
    tty.setraw(slave)
    want = Wanted(RATE_HZ, CHANNELS, 0.08, give_up_s=5.0)
    source = open_source(f"serial:{os.ttyname(slave)}?rate={RATE_HZ}&format=binary", want)
    os.close(slave)
    account = Account()
    with source:
        command = [sys.executable, __file__, "--play", str(master), str(total)]
        player = subprocess.Popen(command, pass_fds=[master])
        began_s = time.process_time()
        for account in accounts(source):
            if account.received + account.lost >= total or player.poll() is not None:
                break
        share = (time.process_time() - began_s) / (total / RATE_HZ)
        player.wait()
    damaged = total // PER_FRAME // 100
    print(
        f"{total / RATE_HZ:.0f} s: {damaged} of {total // PER_FRAME} frames damaged, {damaged * PER_FRAME} samples; "
        f"{account.lost} told lost in {account.gaps} gaps, {account.received} received, {account.wrong} of them wrong; "
        f"{share:.1%} of a core"
    )
    sys.exit((account.received, account.lost, account.wrong) != (total - damaged * PER_FRAME, damaged * PER_FRAME, 0))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--play"]:
        play(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
