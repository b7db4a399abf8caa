"""A board that sends 1 kHz × 3 by UDP, badly: `python -m scripts.udp_soak [SECONDS]`

For a minute, if not told otherwise. One datagram in twenty never comes, one in fifty comes twice, and each may come up
to eight later than its turn. It is sent at its own pace by another process; each sample says where it belongs. Prints
what was lost, wrong and received. Exit code 1 where the account is not exact.
"""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from itertools import pairwise

from edge_res.sources import Wanted, open_source
from edge_res.sources.framing import pack_frame
from scripts.serial_soak import CHANNELS, PER_FRAME, RATE_HZ, Account, accounts, samples_at

WINDOW = 8


def order_of(count: int) -> list[tuple[float, int]]:
    """The turns of the datagrams as they come, and their numbers; the first and the last few in their places."""
    rng = random.Random(1)
    missing = set(rng.sample(range(1, count - WINDOW), count // 20))
    sent = [i for i in range(count) if i not in missing]
    twice = rng.sample(sent, count // 50)
    turn = {i: i + rng.uniform(0, WINDOW) * (0 < i < count - WINDOW) for i in sent}
    return sorted((turn[i], i) for i in [*sent, *twice])


def play(port: int, total: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        began_s = time.monotonic()
        for turn, i in order_of(total // PER_FRAME):
            time.sleep(max(0.0, began_s + turn * PER_FRAME / RATE_HZ - time.monotonic()))
            out.sendto(pack_frame(i * PER_FRAME, samples_at(i * PER_FRAME, PER_FRAME)), ("127.0.0.1", port))


def main() -> None:
    total = round(float(sys.argv[1]) * RATE_HZ) if len(sys.argv) > 1 else 60 * RATE_HZ
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    account = Account()
    options = f"rate={RATE_HZ}&window={WINDOW}"
    with open_source(f"udp://127.0.0.1:{port}?{options}", Wanted(RATE_HZ, CHANNELS, 0.08, give_up_s=5.0)) as source:
        player = subprocess.Popen([sys.executable, "-m", "scripts.udp_soak", "--play", str(port), str(total)])
        for account in accounts(source):
            if account.received + account.lost >= total:
                break
        player.wait()
    count = total // PER_FRAME
    overtaken = sum(a > b for (_, a), (_, b) in pairwise(order_of(count)))
    print(
        f"{total / RATE_HZ:.0f} s: {count // 20} of {count} datagrams never sent, {count // 20 * PER_FRAME} samples, "
        f"{count // 50} sent twice, {overtaken} overtaken; {account.lost} told lost in {account.gaps} gaps, "
        f"{account.received} received, {account.wrong} of them wrong"
    )
    missing = count // 20 * PER_FRAME
    sys.exit((account.received, account.lost, account.wrong) != (total - missing, missing, 0))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--play"]:
        play(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
