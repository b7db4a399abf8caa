"""Sensors on the command line: what they send is heard as it is from a file."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import soundfile

from edge_res.sources.framing import pack_frame
from tests.edgeres import DEMO, edgeres, events_of
from tests.sources.board import Board, wait_for

PER_FRAME = 160
FASTER = 6  # the buffers hold 8 s of it


def listened(sources: list[str], send: Callable[[int, bytes], None], folder: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a listener, while the demo's frames are sent, each with its number."""
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    health = folder / "health.json"
    options = ["--format", "jsonl", "--give-up", "1", "--health-file", str(health)]
    command = [sys.executable, "-m", "edge_res.cli", "listen", *sources, *options]
    listener = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for(health.exists, 60)  # then the sources are entered
        began_s = monotonic()
        for i, at in enumerate(range(0, len(samples), PER_FRAME)):
            sleep(max(0.0, began_s + at / rate_hz / FASTER - monotonic()))
            send(i, pack_frame(at, samples[at : at + PER_FRAME, None]))
        stdout, stderr = listener.communicate(timeout=60)
    finally:
        listener.kill()
        listener.wait()
    assert b"Traceback" not in stderr, stderr.decode()
    assert [source["unit"] for source in json.loads(health.read_text())["sources"]] == ["Pa", ""]
    return listener.returncode, stdout.decode(), stderr.decode()


def test_the_same_words_are_heard_as_from_the_file_and_a_lost_frame_is_a_gap(tmp_path: Path) -> None:
    board = Board(tmp_path / "sensor")
    board.plug()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line, datagrams = f"serial:{board.path}", f"udp://127.0.0.1:{port}"
    options = "?rate=16000&scale=3.0517578125e-05"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))

        def send(i: int, frame: bytes) -> None:
            board.send(frame)
            if i != 1000:
                out.send(frame)

        sources = [f"{line}{options}&unit=Pa&format=binary", f"{datagrams}{options}&unit=audio"]
        code, stdout, stderr = listened(sources, send, tmp_path)
    board.close()
    assert code == 3
    for name, unit in ((line, " (Pa)"), (datagrams, "")):
        assert f"edgeres: listening to {name}{unit} with default, " in stderr
        assert f"edgeres: {name} has failed at 25.7 s: {name} has delivered no sample for 1." in stderr
    alone = events_of(edgeres("listen", DEMO, "--format", "jsonl").stdout.decode(), str(DEMO))
    assert len(alone) > 15
    assert events_of(stdout, line) == alone
    with_gap = events_of(stdout, datagrams)
    (gap,) = [event for event in with_gap if event["event"] == "gap"]
    assert (gap["gap_s"], gap["at_s"]) == (0.01, 10.01)
    before = [event for event in alone if event["at_s"] < 10]
    assert with_gap[: len(before)] == before
    assert len(with_gap) > len(before) + 4
