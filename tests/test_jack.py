"""JACK, whose rate nobody can choose: a model of 16 kHz hears a word at 48 kHz, and what the driver loses is told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.jack import Jack, jack
from tests.sources.board import wait_for
from tests.test_microphone import heard_s, listening, spoken

__all__ = ["jack"]  # the fixture

PLAY = """
import sys
import numpy as np
import sounddevice
samples = np.frombuffer(sys.stdin.buffer.read(), np.int16).astype(np.float32)[:, None] / 32768
sounddevice.play(samples, 48000, device="system", blocking=True)
"""


def play(jack: Jack, samples: bytes) -> None:
    """Play int16 into the microphone of the one that listens, by JACK too."""
    with subprocess.Popen([sys.executable, "-c", PLAY], env=jack.env, stdin=subprocess.PIPE) as player:
        assert player.stdin
        player.stdin.write(samples)
        player.stdin.close()
        while "PortAudio-01:out_0" not in jack.ports():
            assert player.poll() is None
            time.sleep(0.05)
        jack.connect("PortAudio-01:out_0", "PortAudio:in_0")
    assert player.returncode == 0


@pytest.mark.parametrize("jack", [4096], indirect=True)  # long periods: a busy machine spoils what it plays less
def test_a_word_is_heard_at_the_rate_of_the_server(jack: Jack) -> None:
    with listening(jack, "mic:system") as process:
        play(jack, spoken("yes-0").tobytes())
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    assert [event["label"] for event in map(json.loads, out.splitlines()) if event["event"] == "on"] == ["yes"]


STALL = """
import sys, time
from edge_res.sources import Wanted
from edge_res.sources.mic import Microphone

class Stalled(Microphone):
    calls = 0
    began_s = 0.0
    def _receive(self, samples, length, times, status):
        self.calls += 1
        if self.calls == 1:
            self.began_s = time.monotonic() - length / 48000
        if self.calls == 60:
            time.sleep(0.5)  # JACK does not wait
        super()._receive(samples, length, times, status)

with Stalled("mic:system", Wanted(16000, 1, 0.08)) as source:
    for block in source:
        print(block.at, block.lost, len(block.samples), source.rate_hz)
        if block.at > 2.5 * source.rate_hz:
            break
    print(time.monotonic() - source.began_s)
"""


def test_what_the_driver_says_it_has_lost_is_counted_by_the_clock(jack: Jack) -> None:
    done = subprocess.run([sys.executable, "-c", STALL], env=jack.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *told, elapsed_s = done.stdout.splitlines()
    blocks = [[int(word) for word in line.split()] for line in told]
    received = np.cumsum([0, *(length for _, _, length, _ in blocks)]).tolist()
    # On a busy machine the stall is longer and there are other gaps. There, too, the stall has a gap at its place, and
    # the gaps do not add up to more than the clock; test_continuity.py checks their length against a simulated clock.
    places = zip(received[:-1], blocks, strict=True)
    (lost,) = [lost for place, (_, lost, _, _) in places if lost and place in (59 * 1024, 60 * 1024)]
    assert lost / 48000 > 0.45
    assert blocks[-1][0] + blocks[-1][2] <= 48000 * (float(elapsed_s) + 0.05)
    assert {rate_hz for _, _, _, rate_hz in blocks} == {48000}


def test_a_server_that_ends_ends_its_microphone_and_nothing_hangs(jack: Jack, tmp_path: Path) -> None:
    health = tmp_path / "health.json"
    with listening(jack, "mic:system", "--health-file", str(health)) as process:
        wait_for(lambda: min(heard_s(health), default=0) > 0, 20)
        jack.stop()
        _, told = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "edgeres: mic:system is alarmed at " in told
    assert told.splitlines()[-1].startswith("edgeres: The microphone mic:system has lost the JACK server, ")


OPENED = """
from edge_res.sources import Wanted
from edge_res.sources.mic import Microphone

source = Microphone("mic:system", Wanted(16000, 1, 0.08))
print("opened", flush=True)
input()
try:
    source.__enter__()
except OSError as error:
    print(error, flush=True)
source.__exit__()
"""


def test_a_server_that_ends_before_its_microphone_starts_does_not_abort_us(jack: Jack) -> None:
    command = [sys.executable, "-c", OPENED]
    with subprocess.Popen(
        command, env=jack.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "opened\n"
        jack.stop()
        out, told = process.communicate("\n", timeout=30)
    assert process.returncode == 0, told
    assert out.startswith("The microphone mic:system ")
