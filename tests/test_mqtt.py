"""A broker on the command line: words are heard over it, and what is frozen keeps nobody from leaving."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import soundfile

from edge_res.sources import Wanted, open_source
from edge_res.sources.framing import pack_frame
from tests.broker import PASSWORD, USER, Broker, broker, sender
from tests.edgeres import DEMO, REPOSITORY, edgeres, events_of
from tests.sources.board import Heard, wait_for
from tests.sources.board import signal as samples_of

__all__ = ["broker"]  # the fixture

PER_MESSAGE = 1600
FASTER = 6  # the buffers hold 8 s of it


@contextmanager
def listener(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`edgeres listen`, that has begun to."""
    health = folder / "health.json"
    command = [sys.executable, "-m", "edge_res.cli", "listen", *arguments, "--format", "jsonl"]
    process = subprocess.Popen([*command, "--health-file", str(health)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for(health.exists, 60)  # then the sources are entered
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_same_words_are_heard_as_from_the_file(broker: Broker, tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    options = "rate=16000&scale=3.0517578125e-05"
    topics = {"room/frames": f"{options}&format=frames", "room/mic": f"{options}&format=int16"}
    addresses = [broker.address(topic, more) for topic, more in topics.items()]
    with listener(tmp_path, *addresses, "--give-up", "1") as process, sender(broker) as board:
        began_s = monotonic()
        for at in range(0, len(samples), PER_MESSAGE):
            sleep(max(0.0, began_s + at / rate_hz / FASTER - monotonic()))
            part = samples[at : at + PER_MESSAGE, None]
            board.publish("room/frames", pack_frame(at, part), qos=1)
            board.publish("room/mic", part.tobytes(), qos=1)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3  # they were lost
    assert PASSWORD not in stderr.decode() + stdout.decode() + (tmp_path / "health.json").read_text()
    alone = events_of(edgeres("listen", DEMO, "--format", "jsonl").stdout, str(DEMO))
    assert len(alone) > 15
    for topic in topics:
        assert events_of(stdout, f"mqtt://localhost:{broker.port}/{topic}") == alone


def test_the_sender_in_the_documentation_works(broker: Broker) -> None:
    text = (REPOSITORY / "docs" / "how-to" / "mqtt.md").read_text(encoding="utf-8")
    code: dict[str, Any] = {}
    exec(text.partition("<!-- mqtt -->\n```python\n")[2].partition("```")[0], code)
    address = broker.address("room/fan", "rate=1000&channels=3")
    with open_source(address, Wanted(1000, 3, 0.08, give_up_s=30.0)) as source:
        heard = Heard(source)
        blocks = [samples_of(first, 50, 3).tolist() for first in range(0, 500, 50)]
        code["send"](blocks, "localhost", broker.port, user=USER, password=PASSWORD)
        heard.until(lambda heard: heard.received == 500)
    assert heard.lost == 0
    heard.check_signal()


def test_a_frozen_broker_is_an_alarm_and_does_not_block_the_exit(broker: Broker, tmp_path: Path) -> None:
    with listener(tmp_path, broker.address("room/mic", "rate=16000")) as process:
        broker.freeze()
        assert process.stderr
        for line in process.stderr:
            if b"alarmed" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 0
