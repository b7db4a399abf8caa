"""Raw PCM that other programs write into `edgeres listen -`, for real."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.edgeres import DEMO, OWN, edgeres, lines
from tests.pulse import Pulse, pulse
from tests.test_microphone import spoken

__all__ = ["pulse"]  # the fixture
LISTEN = [sys.executable, "-m", "edge_res.cli", "listen", "-", "--format", "jsonl"]


def needed(program: str, package: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs {program}: apt-get install {package}")
    return path


@contextmanager
def arecorded(server: Pulse, rate_hz: int, *options: str) -> Iterator[dict[str, str]]:
    """A listener to what `arecord` hears at a rate, from when it listens; at the end, its stdout and stderr."""
    record = [needed("arecord", "alsa-utils"), "-q", "-t", "raw", "-f", "S16_LE", "-r", str(rate_hz), "-c", "1"]
    heard: dict[str, str] = {}
    with (
        subprocess.Popen(record, env=server.env, stdout=subprocess.PIPE) as recorder,
        subprocess.Popen(
            [*LISTEN, *options], stdin=recorder.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as listener,
    ):
        try:
            assert listener.stderr
            for line in listener.stderr:
                if "listening to -" in line:
                    break
            yield heard
            recorder.terminate()  # the pipe ends
            heard["stdout"], heard["stderr"] = listener.communicate(timeout=20)
            assert listener.returncode == 0, heard["stderr"]
        finally:
            recorder.kill()
            listener.kill()


def test_a_word_that_arecord_hears_is_told_and_a_wrong_rate_as_well(pulse: Pulse) -> None:
    with arecorded(pulse, 16000) as right, arecorded(pulse, 8000, "--rate", "16000") as wrong:
        for word in ("yes-0", "stop-0", "go-0", "yes-0"):
            pulse.play(spoken(word))
    events = map(json.loads, right["stdout"].splitlines())
    assert [event["label"] for event in events if event["event"] == "on"] == ["yes", "stop", "go", "yes"]
    assert "samples a second" not in right["stderr"]
    assert "0 samples lost" in right["stderr"]
    (said,) = [line for line in wrong["stderr"].splitlines() if "samples a second" in line]
    measured_hz = float(said.removeprefix("edgeres: stdin delivers ").split()[0])
    assert measured_hz == pytest.approx(8000, rel=0.1)  # on a busy machine; exact in sources/test_pcm.py
    assert said.endswith("samples a second instead of 16000; give the true one with --rate.")


@pytest.mark.parametrize(
    ("form", "options"), [("-b 16 -e signed", ()), ("-b 32 -e float", ("--pcm-format", "f32le"))], ids=["s16", "f32"]
)
def test_what_sox_pipes_is_heard_as_the_file_is(form: str, options: tuple[str, ...]) -> None:
    sox = needed("sox", "sox")
    raw = subprocess.run([sox, str(DEMO), "-t", "raw", *form.split(), "-c", "1", "-"], capture_output=True, check=True)
    heard = lines(edgeres("listen", "-", *options, "--format", "jsonl", "--scores", stdin=raw.stdout))
    alone = lines(edgeres("listen", DEMO, "--format", "jsonl", "--scores"))
    plain = [
        [{key: value for key, value in line.items() if key not in OWN} for line in each] for each in (alone, heard)
    ]
    assert plain[0] == plain[1]
    assert len(heard) > 300


def test_a_program_that_hangs_is_alarmed_and_ctrl_c_ends_at_once() -> None:
    with (
        subprocess.Popen(["sh", "-c", "head -c 32000 /dev/urandom; exec sleep 60"], stdout=subprocess.PIPE) as writer,
        subprocess.Popen(LISTEN, stdin=writer.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listener,
    ):
        assert listener.stderr
        for line in listener.stderr:
            if b"is alarmed" in line:
                break
        assert line.startswith(b"edgeres: - is alarmed at 1.0 s: no sample for 2.")
        listener.send_signal(2)
        _, told = listener.communicate(timeout=10)
        writer.kill()
    assert listener.returncode == 0
    assert b"interrupted 1 time, alarmed at the end" in told


def test_a_stdin_that_is_closed_is_not_another_source_s_file() -> None:
    command = 'exec "$0" -m edge_res.cli listen "$1" - --format jsonl <&-'
    done = subprocess.run(["sh", "-c", command, sys.executable, DEMO], capture_output=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr == b"edgeres: stdin is closed; pipe samples into it, as `arecord` writes them.\n"
