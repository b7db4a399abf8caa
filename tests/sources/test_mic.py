"""A real microphone: PortAudio over a private PulseAudio. Each listens in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.pulse import RATE_HZ, Pulse, pulse, skip_without_microphone
from tests.unplug import cycles

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


LOST: dict[str, Callable[[Pulse], None]] = {
    "unplugged": Pulse.unplug,
    "server killed": Pulse.stop,
    "server frozen": Pulse.freeze,
    "suspended": Pulse.suspend,
}


@pytest.mark.parametrize("how", LOST)
def test_a_microphone_that_does_not_come_back_is_given_up(pulse: Pulse, tmp_path: Path, how: str) -> None:
    with hearing(pulse, "mic:", tmp_path / "heard.npz", "--give-up-s", "1") as listener:
        LOST[how](pulse)
        _, told = listener.communicate(timeout=30)
        assert listener.returncode == 3, told
        last = told.splitlines()[-1]
        assert last.startswith("SourceError: The microphone mic: has delivered nothing for 1.")
        assert " s after it began, and is given up: " in last
        assert last.endswith(".")


BACK: dict[str, tuple[Callable[[Pulse], None], Callable[[Pulse], None]]] = {
    "server frozen": (Pulse.freeze, Pulse.thaw),
    "suspended": (Pulse.suspend, Pulse.resume),
}


@pytest.mark.parametrize("how", BACK)
def test_a_microphone_that_is_silent_is_alarmed_within_a_second_and_goes_on(
    pulse: Pulse, tmp_path: Path, how: str
) -> None:
    away, back = BACK[how]
    with hearing(pulse, "mic:", tmp_path / "heard.npz") as listener:
        assert listener.stdout
        away(pulse)
        away_s = time.monotonic()
        alarmed_s, state, _ = listener.stdout.readline().split(maxsplit=2)
        assert state == "alarmed"
        assert float(alarmed_s) - away_s < 1
        back(pulse)
        back_s = time.monotonic()
        healthy_s, state, _ = listener.stdout.readline().split(maxsplit=2)
        assert state == "healthy"
        assert float(healthy_s) - back_s < 2
        pulse.play(ramp(1000))
        _, told = listener.communicate(timeout=30)
        assert listener.returncode == 0, told


@pytest.mark.parametrize("how", ["", "frozen", "frozen while it is opened again"])
def test_ctrl_c_ends_it(pulse: Pulse, tmp_path: Path, how: str) -> None:
    with hearing(pulse, "mic:", tmp_path / "heard.npz", "--reopen-s", "5" if how == "frozen" else "0.7") as listener:
        if how:
            pulse.freeze()
            time.sleep(1.5)
        listener.send_signal(signal.SIGINT)
        _, told = listener.communicate(timeout=2)
        assert told.splitlines()[-1] == "KeyboardInterrupt"


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


def test_what_is_missing_is_stated_each_time_that_it_comes_back() -> None:
    skip_without_microphone()
    told = list(cycles(("unplugged", "server killed", "suspended"), 5))
    for cycle in told:
        assert cycle.back_s < 2, cycle
        assert abs(cycle.error_ms) < 20, cycle
        assert cycle.stated_ms > 200, cycle
        # What a suspended microphone still held comes after the gap, as does what comes at once with it.
        assert cycle.wrong <= (0.1 * RATE_HZ if cycle.kind == "suspended" else 0), cycle
    assert len({cycle.threads for cycle in told}) == 1
    assert told[-1].rss_mb - told[0].rss_mb < 4


def test_names_channels_and_indices_that_are_not_there(pulse: Pulse) -> None:
    cases = [
        ("mic:snowball", [], "There is no microphone 'snowball'; there are 0 'pulse', 1 'default'."),
        ("mic:7", [], "There is no microphone 7; there are 0 'pulse', 1 'default'."),
        (
            "mic:UL",
            [],
            (
                "More than one microphone is called 'UL': 0 'pulse', 1 'default'; "
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


HELD = """
import time
from types import SimpleNamespace as Given
import numpy as np
from edge_res.sources import Wanted
from edge_res.sources.mic import Microphone

source = Microphone("mic:", Wanted(1000, 1, 0.1, give_up_s=0.3))  # never started: the callbacks are ours
for i in range(3):
    source._receive(np.full((100, 1), i, np.float32), 100, None, Given(input_overflow=i == 2))
try:
    for block in source:
        if len(block.samples):
            print(block.at, block.lost, *np.unique(block.samples).astype(int))
except OSError as error:
    print(error)
"""


def test_what_is_held_until_a_loss_is_known_is_given_at_the_end(pulse: Pulse) -> None:
    done = subprocess.run([sys.executable, "-c", HELD], env=pulse.env, capture_output=True, text=True, timeout=60)
    *blocks, error = done.stdout.splitlines()
    assert blocks == ["0 0 0 1", "200 0 2"], done.stderr
    assert "and is given up: see that it is not muted or suspended." in error


NO_PORTAUDIO = "import ctypes.util; ctypes.util.find_library = lambda name: None"
NO_SERVER = "import os; os.environ['PULSE_SERVER'] = 'unix:/nowhere'"


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (
            NO_PORTAUDIO,
            "needs the PortAudio library, which is missing; install it with `sudo apt install libportaudio2`.",
        ),
        (NO_SERVER, "There is no microphone; plug one in, and see `arecord -l` for what the system knows."),
    ],
    ids=["no PortAudio", "no microphone"],
)
def test_nothing_to_listen_with(pulse: Pulse, before: str, sentence: str) -> None:
    code = f"{before}\nfrom edge_res.sources import *; open_source('mic:', Wanted(16000, 1, 0.08))"
    done = subprocess.run([sys.executable, "-c", code], env=pulse.env, capture_output=True, text=True, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("edge_res.errors.MicrophoneError: ")
    assert last.endswith(sentence)
