"""Sensors on the command line: what they send is heard as it is from a file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import soundfile

from edge_res.sources.framing import pack_frame
from tests.edgeres import DEMO, edgeres, lines
from tests.sources.board import Board, wait_for

PER_FRAME = 160
FASTER = 10


def heard(source: str, send: Callable[[bytes], object], folder: Path, drop: int | None = None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a listener to whom the demo is sent, but for frame `drop`."""
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    health = folder / "health.json"
    command = [sys.executable, "-m", "edge_res.cli", "listen", source, "--format", "jsonl", "--give-up", "1"]
    listener = subprocess.Popen(
        [*command, "--health-file", str(health)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )
    try:
        wait_for(health.exists, 60)  # then the source is entered
        began_s = monotonic()
        for i, at in enumerate(range(0, len(samples), PER_FRAME)):
            sleep(max(0.0, began_s + at / rate_hz / FASTER - monotonic()))
            if i != drop:
                send(pack_frame(at, samples[at : at + PER_FRAME, None]))
        stdout, stderr = listener.communicate(timeout=60)
    finally:
        listener.kill()
        listener.wait()
    assert b"Traceback" not in stderr, stderr.decode()
    assert json.loads(health.read_text())["sources"][0]["unit"] == "Pa"
    return listener.returncode, stdout.decode(), stderr.decode()


def events(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    for event in found:
        assert event.pop("source")
    return found


OPTIONS = "?rate=16000&scale=3.0517578125e-05&unit=Pa"


@pytest.mark.parametrize("kind", ["serial", "udp"])
def test_the_same_words_are_heard_as_from_the_file(tmp_path: Path, kind: str) -> None:
    alone = lines(edgeres("listen", DEMO, "--format", "jsonl"))
    for event in alone:
        event.pop("source")
    board = Board(tmp_path / "sensor")
    board.plug()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out, socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        if kind == "serial":
            name = f"serial:{board.path}"
            code, stdout, stderr = heard(f"{name}{OPTIONS}&format=binary", board.send, tmp_path)
        else:
            name = f"udp://127.0.0.1:{port}"
            out.connect(("127.0.0.1", port))
            code, stdout, stderr = heard(name + OPTIONS, out.send, tmp_path)
    board.close()
    assert code == 3
    assert len(alone) > 15
    assert events(stdout) == alone
    assert f"edgeres: {name} has delivered no sample for 1." in stderr


def test_a_lost_frame_is_a_gap_of_its_length(tmp_path: Path) -> None:
    board = Board(tmp_path / "sensor")
    board.plug()
    _, stdout, stderr = heard(f"serial:{board.path}{OPTIONS}&format=binary", board.send, tmp_path, drop=1000)
    board.close()
    (gap,) = [event for event in events(stdout) if event["event"] == "gap"]
    assert (gap["gap_s"], gap["at_s"]) == (0.01, 10.01)
    assert "160 samples lost" in stderr
