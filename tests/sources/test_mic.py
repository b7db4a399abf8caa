"""A real microphone: PortAudio over a private PulseAudio. Each listens in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.pulse import RATE_HZ, Pulse, pulse

__all__ = ["pulse"]  # the fixture

HEAR = Path(__file__).with_name("hear.py")
PERIOD = 30000


def ramp(samples: int) -> NDArray[np.int16]:
    """Each sample says where it is, modulo the period; none is 0. The last one ends the listener."""
    values = np.arange(samples) % PERIOD + 1
    return np.append(values, 32000).astype(np.int16)


@contextmanager
def hearing(pulse: Pulse, source: str, out: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A listener that has its first block."""
    command = [sys.executable, str(HEAR), source, str(out), *options]
    listener = subprocess.Popen(command, env=pulse.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert listener.stdout
        assert listener.stderr
        assert listener.stdout.readline().endswith(" listening\n"), listener.stderr.read()
        assert listener.stdout.readline() == "first block\n", listener.stderr.read()
        yield listener
    finally:
        listener.kill()
        listener.wait()
        for stream in (listener.stdout, listener.stderr):
            assert stream
            stream.close()


def hear(pulse: Pulse, source: str, *options: str) -> tuple[int, str, str]:
    """Exit code, stdout and last line of stderr of a listener that ends by itself."""
    command = [sys.executable, str(HEAR), source, "/dev/null", *options]
    done = subprocess.run(command, env=pulse.env, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, (done.stderr.splitlines() or [""])[-1]


def test_every_sample_arrives_as_it_was_played(pulse: Pulse, tmp_path: Path) -> None:
    played = ramp(70000)
    with hearing(pulse, "mic:", tmp_path / "heard.npz") as listener:
        pulse.play(played)
        _, told = listener.communicate(timeout=30)
        assert listener.returncode == 0, told
    heard = np.load(tmp_path / "heard.npz")
    samples, (at, lost, lengths) = heard["samples"][:, 0], heard["places"].T
    assert not lost.any()
    assert at.tolist() == np.cumsum([0, *lengths[:-1]]).tolist()
    first = int(np.flatnonzero(samples)[0])
    np.testing.assert_array_equal(samples[first : first + len(played)] * 32768, played)


def test_a_slow_reader_loses_nothing_that_the_ring_could_hold(pulse: Pulse, tmp_path: Path) -> None:
    out, played = tmp_path / "heard.npz", ramp(4 * RATE_HZ)
    with hearing(pulse, "mic:", out, "--pause-s", "2") as listener:
        pulse.play(played)
        _, told = listener.communicate(timeout=30)
        assert listener.returncode == 0, told
    heard = np.load(out)
    samples = heard["samples"][:, 0]
    assert not heard["places"][:, 1].any()
    first = int(np.flatnonzero(samples)[0])
    np.testing.assert_array_equal(samples[first : first + len(played)] * 32768, played)


def test_what_a_slow_reader_loses_is_told_where_it_is_missing(pulse: Pulse, tmp_path: Path) -> None:
    out = tmp_path / "heard.npz"
    with hearing(pulse, "mic:PULSE", out, "--buffer-s", "0.4", "--pause-s", "1") as listener:
        pulse.play(ramp(150000))
        _, told = listener.communicate(timeout=30)
        assert listener.returncode == 0, told
    heard = np.load(out)
    samples, places = heard["samples"][:, 0] * 32768, heard["places"]
    assert places[:, 1].any()
    taken = end = 0
    offsets = set()
    for at, lost, length in places:
        assert at == end + lost
        end = at + length
        values = samples[taken : taken + length]
        inside = (values > 0) & (values < 32000)
        offsets |= set(((np.arange(at, end) - values) % PERIOD)[inside])
        taken += length
    assert len(offsets) == 1  # value and position move together, across what was lost too


def test_a_refused_rate_gives_way_to_the_devices_own(pulse: Pulse, tmp_path: Path) -> None:
    with hearing(pulse, "mic:pulse", tmp_path / "heard.npz", "--rate-hz", "500000") as listener:
        pulse.play(ramp(1000)[:-1])
        pulse.play(np.full(1000, 32767, np.int16))
        stdout, told = listener.communicate(timeout=30)
        assert listener.returncode == 0, told
        assert stdout == ""
    code, _, told = hear(pulse, "mic:pulse", "--given-rate-hz", "500000")
    assert code == 4
    assert told.startswith("MicrophoneError: The microphone 0 'pulse' cannot be opened at 500000 Hz (")


def test_all_channels_are_given_where_nobody_says_how_many(pulse: Pulse, tmp_path: Path) -> None:
    out = tmp_path / "heard.npz"
    with hearing(pulse, "mic:", out, "--channels", "0") as listener:  # the server makes as many as are asked for
        pulse.play(ramp(1000))
        _, told = listener.communicate(timeout=30)
        assert listener.returncode == 0, told
    heard = np.load(out)["samples"]
    assert heard.shape[1] == 2
    assert heard[:, 0].any()


def test_what_the_server_drops_without_a_word_is_found_by_the_clock(pulse: Pulse, tmp_path: Path) -> None:
    """With 32 channels its queue holds 1.4 s; we are stopped for 3 s."""
    out = tmp_path / "heard.npz"
    with hearing(pulse, "mic:", out, "--channels", "32") as listener:
        playing = threading.Thread(target=pulse.play, args=(ramp(6 * RATE_HZ),))
        playing.start()
        time.sleep(1.5)
        listener.send_signal(signal.SIGSTOP)
        time.sleep(3)
        listener.send_signal(signal.SIGCONT)
        _, told = listener.communicate(timeout=30)
        playing.join()
        assert listener.returncode == 0, told
    heard = np.load(out)
    samples, places = heard["samples"][:, 0] * 32768, heard["places"]
    ((at, lost, _),) = places[places[:, 1] > 0]
    assert lost > RATE_HZ / 2
    indices = np.concatenate([np.arange(start, start + length) for start, _, length in places])
    known = (samples > 0) & (samples < 32000)
    offsets = (indices - samples) % PERIOD  # one value, but for what the clock misjudged
    before, after = offsets[known & (indices < at)], offsets[known & (indices >= at)]
    error = (np.median(after) - np.median(before) + PERIOD / 2) % PERIOD - PERIOD / 2
    misplaced = np.count_nonzero(before != np.median(before)) + np.count_nonzero(after != np.median(after))
    assert abs(error) < 0.02 * RATE_HZ
    assert misplaced < 0.02 * RATE_HZ


def test_names_channels_and_indices_that_are_not_there(pulse: Pulse) -> None:
    cases = [
        ("mic:snowball", [], "There is no microphone 'snowball'; there are 0 'pulse', 1 'default'."),
        ("mic:7", [], "There is no microphone 7; there are 0 'pulse', 1 'default'."),
        (
            "mic:UL",
            [],
            (
                "More than one microphone matches 'UL': 0 'pulse', 1 'default'; "
                "give a longer part, the port or the index."
            ),
        ),
        (
            "mic:pulse",
            ["--channels", "99"],
            "The microphone 0 'pulse' has 32 channels and 99 are asked for; choose another with mic:NAME.",
        ),
    ]
    for source, options, sentence in cases:
        assert hear(pulse, source, *options) == (4, "", f"MicrophoneError: {sentence}")


NO_PORTAUDIO = "import ctypes.util; ctypes.util.find_library = lambda name: None"
BROKEN_ALSA = "import os; open(os.environ['HOME'] + '/.asoundrc', 'a').write('pcm.front { type null }')"
NO_SERVER = "import os; os.environ['PULSE_SERVER'] = 'unix:/nowhere'"


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (
            NO_PORTAUDIO,
            "requires the PortAudio library, which is missing; install it with `sudo apt install libportaudio2`.",
        ),
        (
            BROKEN_ALSA,
            "PortAudio does not start; check the sound server and ALSA's files ~/.asoundrc and /etc/asound.conf.",
        ),
        (NO_SERVER, "There is no microphone; plug one in, and check that `arecord -l` lists it."),
    ],
    ids=["no PortAudio", "broken ALSA", "no microphone"],
)
def test_nothing_to_listen_with(pulse: Pulse, before: str, sentence: str) -> None:
    code = f"{before}\nfrom edge_res.sources import *; open_source('mic:', Wanted(16000, 1, 0.08))"
    done = subprocess.run([sys.executable, "-c", code], env=pulse.env, capture_output=True, text=True, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("edge_res.errors.MicrophoneError: ")
    assert last.endswith(sentence)
