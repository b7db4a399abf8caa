"""`edgeres listen mic:` on a real microphone: a PulseAudio null sink into which a clip is played."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import mean, median

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

import edge_res
from tests.edgeres import CLIPS
from tests.jack import Jack
from tests.pulse import RATE_HZ, Pulse, pulse
from tests.sources.board import wait_for

__all__ = ["pulse"]  # the fixture


def spoken(name: str) -> NDArray[np.int16]:
    """A clip between seconds of faint noise, int16 at the microphone's rate."""
    clip, rate_hz = soundfile.read(CLIPS / f"{name}.flac", dtype="float32")
    audio = np.random.default_rng(0).normal(0, 1e-3, 32 * rate_hz // 10).astype(np.float32)
    start = 16 * rate_hz // 10  # before it, the window is filled
    audio[start : start + len(clip)] += clip
    pcm: NDArray[np.int16] = np.rint(soxr.resample(audio, rate_hz, RATE_HZ) * 32767).astype(np.int16)
    return pcm


@contextmanager
def listening(server: Pulse | Jack, *arguments: str, before: str = "") -> Iterator[subprocess.Popen[str]]:
    """`edgeres listen`, from when it says that it listens; `before` is Python that runs first."""
    code = f"{before}\nfrom edge_res.cli import main\nmain()"
    command = [sys.executable, "-c", code, "listen", *arguments, "--format", "jsonl"]
    with subprocess.Popen(
        command, env=server.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                if "listening to mic:" in line:
                    break
            yield process
        finally:
            process.kill()


def test_a_word_played_into_the_microphone_is_told(pulse: Pulse) -> None:
    with listening(pulse, "mic:") as process:
        pulse.play(spoken("yes-0"))
        pulse.play(spoken("stop-0"))
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    events = [json.loads(line) for line in out.splitlines()]
    assert [e["label"] for e in events if e["event"] == "on"] == ["yes", "stop"]
    assert {e["source"] for e in events} == {"mic:"}
    assert "0 samples lost" in told
    assert "Traceback" not in told


def test_the_time_of_an_event_is_when_the_sound_was_played_after_an_unplug_too(pulse: Pulse) -> None:
    word = spoken("yes-0")
    start_s = median(start_of(word[late:]) + late / RATE_HZ for late in range(0, RATE_HZ * 8 // 100, RATE_HZ // 100))
    with listening(pulse, "mic:") as process:
        played = [pulse.play_at_its_pace(word)]
        pulse.unplug()
        time.sleep(1)
        pulse.plug()
        wait_for_line(process, "is healthy again")
        played.append(pulse.play_at_its_pace(word))
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    events = [json.loads(line) for line in out.splitlines()]
    onsets = [e for e in events if e["event"] == "on"]
    assert [e["label"] for e in onsets] == ["yes", "yes"]
    assert [e["event"] for e in events if e["event"] == "gap"]
    times_s = [datetime.fromisoformat(e["time"].replace("Z", "+00:00")).timestamp() for e in onsets]
    errors_s = [time_s - played_s - start_s for time_s, played_s in zip(times_s, played, strict=True)]
    assert abs(mean(errors_s)) < 0.1
    assert max(map(abs, errors_s)) < 0.1 + 0.04  # a decision comes up to half a hop sooner or later than on average
    assert len({e["id"] for e in onsets}) == 2


def start_of(samples: NDArray[np.int16]) -> float:
    """Where the word begins for the model, in seconds: to one hop of 80 ms."""
    stream = edge_res.load().stream(rate_hz=RATE_HZ)
    (start_s,) = [e.start_s for s in stream.push(samples) for e in stream.events(s) if e.event == "on"]
    return start_s


def wait_for_line(process: subprocess.Popen[str], part: str) -> None:
    """Read stderr up to the line that has this in it."""
    assert process.stderr
    assert any(part in line for line in process.stderr)


def test_asyncio_hears_a_microphone(pulse: Pulse) -> None:
    """In a process of its own: PortAudio reads the environment as it starts."""
    code = (
        "import asyncio, edge_res\n"
        "async def hear():\n"
        "    async with asyncio.timeout(60) if hasattr(asyncio, 'timeout') else NoLimit():\n"
        "        async for event in edge_res.listen('mic:'):\n"
        "            print(event.event, event.label, event.time is not None, flush=True)\n"
        "            if event.event == 'off':\n"
        "                break\n"
        "class NoLimit:\n"
        "    async def __aenter__(self): pass\n"
        "    async def __aexit__(self, *_): pass\n"
        "print('listening', flush=True)\n"
        "asyncio.run(hear())\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=pulse.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "listening\n"
        both = np.tile(spoken("yes-0"), 2)  # the first may come before it listens
        player = threading.Thread(target=pulse.play, args=(both,))
        player.start()
        out, told = process.communicate(timeout=60)
        player.join()
    assert process.returncode == 0, told
    assert out == "on yes True\noff yes True\n"


def test_a_microphone_that_is_given_up_ends_the_program_with_its_sentence(pulse: Pulse) -> None:
    with listening(pulse, "mic:", "--give-up", "1") as process:
        pulse.play(spoken("yes-0"))
        pulse.stop()
        out, told = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "edgeres: mic: is recovering at " in told
    assert "edgeres: The microphone mic: has delivered nothing for 1." in told
    assert ", failed at the end" in told
    assert '"label": "yes"' in out
    assert "Traceback" not in told


def test_a_microphone_that_comes_back_is_listened_to_again(pulse: Pulse) -> None:
    with listening(pulse, "mic:pul") as process:
        began_s = time.monotonic()
        pulse.play(spoken("yes-0"))
        pulse.stop()
        time.sleep(0.5)
        pulse.start()
        assert process.stderr
        for line in process.stderr:
            if "mic:pul is healthy again" in line:
                break
        elapsed_s = time.monotonic() - began_s
        pulse.play(spoken("stop-0"))
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    events = [json.loads(line) for line in out.splitlines()]
    assert [e["label"] for e in events if e["event"] == "on"] == ["yes", "stop"]
    (gap,) = [e for e in events if e["event"] == "gap"]
    assert 0.5 < gap["gap_s"] < elapsed_s
    assert "samples lost in 1 gap" in told


def test_a_microphone_that_is_silent_at_first_has_a_gap_there(pulse: Pulse) -> None:
    pulse.suspend()
    with listening(pulse, "mic:") as process:
        assert process.stderr
        for line in process.stderr:
            if "mic: is alarmed at 0.0 s" in line:
                break
        pulse.resume()
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=20)
    (gap,) = map(json.loads, out.splitlines())
    assert gap["event"] == "gap"
    assert gap["at_s"] == gap["gap_s"] > 0.6
    assert "samples lost in 1 gap" in told


def heard_s(health: Path) -> list[float]:
    """The audio of each source so far."""
    return [source["audio_s"] for source in json.loads(health.read_text())["sources"]] if health.exists() else []


def test_one_that_is_lost_does_not_disturb_another(pulse: Pulse, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        other = Pulse(Path(folder))
        with Path(pulse.env["HOME"], ".asoundrc").open("a") as inputs:
            inputs.write(
                f'pcm.other {{ type pulse server "unix:{other.socket}" hint {{ show on description other }} }}\n'
            )
        try:
            options = ("--give-up", "1", "--health-file", str(tmp_path / "health.json"))
            with listening(pulse, "mic:pulse", "mic:other", *options) as process:
                wait_for(lambda: min(heard_s(tmp_path / "health.json"), default=0) > 0, 20)
                pulse.stop()
                other.play(spoken("yes-0"))
                process.send_signal(signal.SIGINT)
                out, told = process.communicate(timeout=20)
        finally:
            other.stop()
    assert process.returncode == 0, told
    assert "edgeres: mic:pulse has failed at " in told
    assert [(e["label"], e["source"]) for e in map(json.loads, out.splitlines()) if e["event"] == "on"] == [
        ("yes", "mic:other")
    ]
    (summary,) = (line for line in told.splitlines() if line.startswith("edgeres: mic:other, "))
    assert " 0 samples lost; " in summary


@pytest.mark.parametrize(("microphones", "times"), [(["mic:", "mic:pul", "mic:0", "mic:1"], 1), (["mic:"], 3)])
def test_ctrl_c_ends_many_with_a_frozen_server_as_fast_as_one(
    pulse: Pulse, tmp_path: Path, microphones: list[str], times: int
) -> None:
    health = tmp_path / "health.json"
    patient = "from edge_res.sources import mic; mic.CLOSE_S = 4.0"  # one after the other, they would take 16 s
    with listening(pulse, *microphones, "--health-file", str(health), before=patient) as process:
        wait_for(health.exists, 20)  # then all are entered
        pulse.freeze()
        for _ in range(times):  # who is impatient
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        _, told = process.communicate(timeout=12)
    assert process.returncode in ((0,) if times == 1 else (0, 130, -signal.SIGINT)), told
    assert "Traceback" not in told


def test_a_server_that_is_frozen_from_the_start_is_told(pulse: Pulse) -> None:
    pulse.freeze()
    command = [sys.executable, "-m", "edge_res.cli", "listen", "mic:"]
    done = subprocess.run(command, env=pulse.env, capture_output=True, text=True, timeout=20)
    said = "edgeres: The microphone mic: cannot be opened: nothing has answered for 10 s; restart the sound server.\n"
    assert (done.returncode, done.stderr) == (4, said)
