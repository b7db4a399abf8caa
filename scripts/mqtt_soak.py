"""A broker killed every few seconds while a board sends 1 kHz × 3: `python -m scripts.mqtt_soak [SECONDS]`

For a minute, if not told otherwise. The board numbers its samples and keeps none: what it cannot send is lost. The
broker is killed (-9) every six seconds and started again a second later, with what it had saved. Prints what was lost,
wrong and received, and how long after its return samples came again. Exit code 1 where a sample is wrong, or is
neither received nor told lost.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from edge_res.flow import Block, Health
from edge_res.sources import Wanted, open_source
from tests.broker import TOPIC, Broker, numbered, sender
from tests.sources.board import signal

RATE_HZ, PER_MESSAGE = 1000, 50


def play(broker: Broker, stop: threading.Event, not_sent: list[int]) -> None:
    with sender(broker) as board:
        while not board.is_connected():
            time.sleep(0.01)
        began_s, first = time.monotonic(), -PER_MESSAGE
        while not stop.wait(max(0.0, began_s + first / RATE_HZ - time.monotonic())):
            first += PER_MESSAGE
            if board.is_connected():
                board.publish(TOPIC, numbered(first), qos=1)
            else:
                not_sent.append(first)


def torment(broker: Broker, stop: threading.Event, returned_s: list[float]) -> None:
    while not stop.wait(5.0):
        broker.kill()
        time.sleep(1.0)
        broker.start()
        returned_s.append(time.monotonic())


def main() -> None:
    total = round(float(sys.argv[1]) * RATE_HZ) if len(sys.argv) > 1 else 60 * RATE_HZ
    not_sent: list[int] = []
    returned_s: list[float] = []
    after_s: list[float] = []
    received = lost = gaps = wrong = 0
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        with open_source(broker.address(TOPIC, f"rate={RATE_HZ}&channels=3"), Wanted(RATE_HZ, 3, 0.08)) as source:
            threads = [
                threading.Thread(target=play, args=(broker, stop, not_sent)),
                threading.Thread(target=torment, args=(broker, stop, returned_s)),
            ]
            for thread in threads:
                thread.start()
            for item in source:
                if isinstance(item, Health) and item.state == "healthy":
                    after_s.append(time.monotonic() - returned_s[-1])
                elif isinstance(item, Block):
                    received, lost, gaps = received + len(item.samples), lost + item.lost, gaps + (item.lost > 0)
                    right = signal(item.at, len(item.samples), 3)
                    wrong += int((item.samples != right).any(axis=1).sum())
                if received + lost >= total:
                    break
            stop.set()
            for thread in threads:
                thread.join()
        broker.kill()
    kills = len(after_s)
    missing = PER_MESSAGE * sum(first < received + lost for first in not_sent)
    print(
        f"{total / RATE_HZ:.0f} s, {kills} kills: {missing} samples could not be sent; {lost} told "
        f"lost in {gaps} gaps, {received} received, {wrong} of them wrong; samples again {np.median(after_s):.2f} s, "
        f"at most {max(after_s):.2f} s after the broker's return"
    )
    sys.exit(wrong > 0 or received + lost < total)


if __name__ == "__main__":
    main()
