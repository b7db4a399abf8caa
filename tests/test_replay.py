"""A session that is recorded and replayed on the command line: the same scores to the bit, gaps and events too."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_res.session import Session
from edge_res.sources.framing import pack_frame
from tests.edgeres import DEMO, edgeres, lines, sentence
from tests.sources.board import wait_for

PER_FRAME = 160
FASTER = 8
LOST = {"a": (700, 1600), "b": (1234,)}  # of each sender, frames that never come: 10 ms each
HEARD = ("--format", "jsonl", "--scores")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A session of two sensors, with two gaps in the first and one in the second, and what was heard then."""
    folder = tmp_path_factory.mktemp("session")
    session, health = folder / "session.edgerec", folder / "health.json"
    ports = [free_port(), free_port()]
    sources = [f"udp://127.0.0.1:{port}?rate=16000&scale=3.0517578125e-05" for port in ports]
    options = [*HEARD, "--give-up", "1", "--health-file", health, "--record", session, "--record-frames"]
    command = [sys.executable, "-m", "edge_res.cli", "listen", *sources, *map(str, options)]
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    heard = folder / "heard.jsonl"  # a pipe that nobody reads would stop the listener
    with heard.open("wb") as out:
        listener = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE)
    try:
        wait_for(health.exists, 60)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            began_s = monotonic()
            for i, at in enumerate(range(0, len(samples), PER_FRAME)):
                sleep(max(0.0, began_s + at / rate_hz / FASTER - monotonic()))
                for port, lost in zip(ports, LOST.values(), strict=True):
                    if i not in lost:
                        out.sendto(pack_frame(at, samples[at : at + PER_FRAME, None]), ("127.0.0.1", port))
        _, stderr = listener.communicate(timeout=60)
    finally:
        listener.kill()
        listener.wait()
    assert b"Traceback" not in stderr, stderr.decode()
    return session, list(map(json.loads, heard.read_text().splitlines()))


def of(source: str, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in told if line["source"] == source]


@pytest.mark.parametrize("options", [(), ("--engine", "onnxruntime"), ("--mode", "window")])
def test_a_replay_gives_the_same_scores_gaps_and_events_to_the_bit(
    recorded: tuple[Path, list[dict[str, Any]]], options: tuple[str, ...]
) -> None:
    session, told = recorded
    result = edgeres("listen", session, *HEARD, *options)
    again = lines(result)
    names = sorted({line["source"] for line in told})
    assert len(names) == 2
    assert sorted(sum(line.get("event") == "gap" for line in of(name, told)) for name in names) == [1, 2]
    for name in names:
        assert sum(line.get("event") == "on" for line in of(name, told)) > 5
        assert sum("scores" in line for line in of(name, told)) > 250
        assert of(name, again) == of(name, told)  # each float reads back as it was
    hops = sum("scores" in line for line in told)
    labels = len(next(line["scores"] for line in told if "scores" in line))
    summary = result.stderr.decode().splitlines()[-1]
    assert summary.startswith(f"edgeres: replayed {hops} hops, 0 of {hops * labels:,} logits differ from the recorded")
    assert "; the recorded frames were used, 0 of " in summary
    assert ", failed at the end" in result.stderr.decode()  # as its sensors did then


def test_another_front_end_is_counted_and_does_not_matter_where_frames_were_recorded(
    recorded: tuple[Path, list[dict[str, Any]]],
) -> None:
    session, told = recorded
    other = (
        "import numpy as np, edge_res.signal.frontend as f; frames = f.FrontEnd._frames\n"
        "def shifted(self, spectra):\n    return frames(self, spectra) + np.float32(0.05)\n"
        "f.FrontEnd._frames = shifted"
    )
    result = edgeres("listen", session, *HEARD, before=other)
    again = lines(result)
    for name in {line["source"] for line in told}:
        assert of(name, again) == of(name, told)
    summary = result.stderr.decode().splitlines()[-1]
    differ = int(summary.partition("were used, ")[2].partition(" of ")[0].replace(",", ""))
    assert differ > 10_000
    assert "hops, 0 of " in summary


def test_what_differs_is_counted_where_only_samples_were_recorded(tmp_path: Path) -> None:
    session = tmp_path / "demo.edgerec"
    edgeres("listen", "demo:", "--record", session, "--format", "jsonl")
    other = (
        "import numpy as np, edge_res.signal.frontend as f; frames = f.FrontEnd._frames\n"
        "def shifted(self, spectra):\n    return frames(self, spectra) + np.float32(0.05)\n"
        "f.FrontEnd._frames = shifted; np.__version__ = '9.9'"
    )
    told = edgeres("listen", session, before=other).stderr.decode().splitlines()
    counted, why = told[-2:]
    differ = int(counted.partition(" hops, ")[2].partition(" of ")[0].replace(",", ""))
    assert 10 < differ < 3636
    assert "it was recorded with numpy " in why
    assert "and this is numpy 9.9 on " in why


def test_another_model_is_told_and_not_compared(tmp_path: Path) -> None:
    session = tmp_path / "demo.edgerec"
    edgeres("listen", "demo:", "--record", session, "--record-frames")
    result = edgeres("listen", session, "--model", "tiny", *HEARD)
    alone = lines(edgeres("listen", "demo:", "--model", "tiny", *HEARD))
    assert lines(result) == alone
    told = result.stderr.decode()
    assert "demo.edgerec is replayed and not compared: it was recorded with default (" in told
    assert ") and is replayed with tiny (" in told
    assert "logits" not in told


def test_an_ensemble_is_compared_member_by_member(tmp_path: Path) -> None:
    session = tmp_path / "demo.edgerec"
    heard = lines(edgeres("listen", "demo:", "--model", "default+default", *HEARD, "--record", session))
    result = edgeres("listen", session, "--model", "default+default", *HEARD)
    assert lines(result) == heard
    hops = sum("scores" in line for line in heard)
    assert f"replayed {2 * hops} hops, 0 of {2 * hops * 12:,} logits differ" in result.stderr.decode()


def test_other_thresholds_are_told(tmp_path: Path) -> None:
    session = tmp_path / "demo.edgerec"
    edgeres("listen", "demo:", "--record", session, "--threshold", "yes=0.125")
    told = edgeres("listen", session).stderr.decode()
    assert "demo.edgerec was recorded with other thresholds, so events may differ: --threshold yes=0.125" in told
    changed = told.partition("may differ: ")[2].splitlines()[0].split()
    again = edgeres("listen", session, *changed).stderr.decode()
    assert "other thresholds" not in again


def test_a_killed_recorder_leaves_a_session_that_replays(tmp_path: Path) -> None:
    session = tmp_path / "killed.edgerec"
    command = [sys.executable, "-m", "edge_res.cli", "listen", str(DEMO), "--realtime", "--record", str(session)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: session.exists() and session.stat().st_size > 80_000, 60)
        process.kill()
    result = edgeres("listen", session, *HEARD)
    scores = [line for line in lines(result) if "scores" in line]
    whole = [line for line in lines(edgeres("listen", DEMO, *HEARD)) if "scores" in line]
    assert len(scores) > 10
    assert scores == whole[: len(scores)]
    told = result.stderr.decode()
    assert (
        "killed.edgerec was never ended: its recorder was killed or its disk was full, " in told
        or "are cut off or damaged" in told
    )
    assert ", 0 of " in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_that_the_user_ends_is_whole(tmp_path: Path, number: int) -> None:
    session = tmp_path / "ended.edgerec"
    command = [sys.executable, "-m", "edge_res.cli", "listen", str(DEMO), "--realtime", "--record", str(session)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_for(lambda: session.exists() and session.stat().st_size > 20_000, 60)
        process.send_signal(number)
        _, told = process.communicate(timeout=20)
        assert process.returncode == 0, told.decode()
    assert Session(str(session)).cut == ""


def test_a_full_disk_ends_the_recording_with_a_sentence_and_not_the_listening(tmp_path: Path) -> None:
    session = tmp_path / "full.edgerec"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_001, 300_001))"  # a write past it fails
    result = edgeres("listen", "demo:", *HEARD, "--record", session, before=limit)
    assert result.returncode == 10
    told = result.stderr.decode()
    assert "Traceback" not in told
    assert told.count("full.edgerec cannot be written any more: File too large; the ") == 2  # at once, and at the end
    assert len(result.stdout.splitlines()) == len(lines(edgeres("listen", "demo:", *HEARD)))
    assert 260_000 < os.path.getsize(session) <= 300_001  # noqa: PTH202
    assert "was never ended" in Session(str(session)).cut  # and nothing is cut off
    again = lines(edgeres("listen", session, *HEARD))
    heard = list(map(json.loads, result.stdout.splitlines()))
    scores = [line["scores"] for line in again if "scores" in line]
    assert len(scores) > 80
    assert scores == [line["scores"] for line in heard if "scores" in line][: len(scores)]


def test_a_recorded_channel_is_the_one_that_was_picked(tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    stereo, session = tmp_path / "stereo.wav", tmp_path / "one.edgerec"
    soundfile.write(stereo, np.stack([0.1 * samples[::-1], samples], axis=1), rate_hz)
    heard = lines(edgeres("listen", stereo, "--channel", "1", *HEARD, "--record", session))
    assert lines(edgeres("listen", session, *HEARD)) == heard
    assert "not compared: --channel changes what the model hears" in (
        edgeres("listen", session, "--channel", "mix").stderr.decode()
    )


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    session = tmp_path / "a.edgerec"
    assert sentence(edgeres("listen", "demo:", "--record-frames")) == (
        "--record-frames adds to a recording; give --record FILE.edgerec as well."
    )
    assert sentence(edgeres("listen", "demo:", "--record", tmp_path / "a.rec")) == (
        f"{tmp_path}/a.rec would not be known as a session; name it FILE.edgerec."
    )
    assert edgeres("listen", "demo:", "--record", session).returncode == 0
    assert "a.edgerec is there already" in sentence(edgeres("listen", "demo:", "--record", session))
    session.with_name("b.edgerec").write_bytes(b"x")
    assert "b.edgerec is not a readable session of version 2" in sentence(
        edgeres("listen", session.with_name("b.edgerec"))
    )
    twice = edgeres("listen", session, "demo:")
    assert sentence(twice) == "The source demo: is named twice; name each once."
