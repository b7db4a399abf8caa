"""A real microphone: PortAudio over a private PulseAudio. Each listens in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_res.errors import MicrophoneError
from edge_res.sources.mic import Device, choose_device
from tests.pulse import Pulse, pulse

__all__ = ["pulse"]  # the fixture

HEAR = Path(__file__).with_name("hear.py")
PERIOD = 30000
CHECK = "check that it is plugged in and that the sound server runs."


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


END: dict[str, tuple[Callable[[Pulse], None], str]] = {
    "unplugged": (Pulse.unplug, "stopped"),
    "server killed": (Pulse.stop, "stopped"),
    "server frozen": (Pulse.freeze, "has delivered nothing for 5 s"),
    "sink suspended": (Pulse.suspend, "has delivered nothing for 5 s"),
}


@pytest.mark.parametrize("how", END)
def test_a_microphone_that_ends_is_an_error_and_not_silence(pulse: Pulse, tmp_path: Path, how: str) -> None:
    act, what = END[how]
    with hearing(pulse, "mic:", tmp_path / "heard.npz") as listener:
        act(pulse)
        _, told = listener.communicate(timeout=30)
        assert listener.returncode == 3, told
        last = told.splitlines()[-1]
        assert last.startswith(f"SourceError: The microphone mic: {what}, ")
        assert last.endswith(f" s after it began; {CHECK}")


@pytest.mark.parametrize("frozen", [False, True])
def test_ctrl_c_ends_it(pulse: Pulse, tmp_path: Path, frozen: bool) -> None:
    with hearing(pulse, "mic:", tmp_path / "heard.npz") as listener:
        if frozen:
            pulse.freeze()
            time.sleep(0.5)  # the reader waits now
        listener.send_signal(signal.SIGINT)
        _, told = listener.communicate(timeout=15)
        assert told.splitlines()[-1] == "KeyboardInterrupt"


def test_names_channels_and_indices_that_are_not_there(pulse: Pulse) -> None:
    cases = [
        ("mic:snowball", [], "There is no microphone 'snowball'; there are 0 'pulse', 1 'default'."),
        ("mic:7", [], "There is no microphone 7; there are 0 'pulse', 1 'default'."),
        (
            "mic:UL",
            [],
            "More than one microphone is called 'UL': 0 'pulse', 1 'default'; give a longer part or the index.",
        ),
        (
            "mic:pulse",
            ["--channels", "99"],
            "The microphone 0 'pulse' has 32 channels and 99 are asked for; choose another with mic:NAME.",
        ),
    ]
    for source, options, sentence in cases:
        assert hear(pulse, source, *options) == (4, "", f"MicrophoneError: {sentence}")


OVERFLOW = """
from types import SimpleNamespace as Given
import numpy as np
from edge_res.sources import Wanted
from edge_res.sources.mic import Microphone

source = Microphone("mic:", Wanted(1000, 1, 0.1))  # never started: the callbacks are ours
for i, (adc_s, overflow) in enumerate([(7.0, True), (7.1, False), (7.45, True), (7.55, False), (7.65, True)]):
    samples = np.full((100, 1), i, np.float32)
    source._receive(samples, 100, Given(inputBufferAdcTime=adc_s), Given(input_overflow=overflow))
source._ring.lose(5)
source._finish()
try:
    for block in source:
        print(block.at, len(block.samples), block.lost, *np.unique(block.samples).astype(int))
except OSError as error:
    print(error)
"""


def test_overflows_of_the_driver_are_counted_by_its_clock(pulse: Pulse) -> None:
    done = subprocess.run([sys.executable, "-c", OVERFLOW], env=pulse.env, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "1 200 1 0 1",  # nothing is known of the time before the first callback: at least 1
        "451 200 250 2 3",  # 7.45 s where 7.2 s was expected
        "652 100 1 4",  # flagged, though by the clock nothing is missing
        "757 0 5",  # lost at the very end
        f"The microphone mic: stopped, 0.8 s after it began; {CHECK}",
    ], done.stderr


def test_choosing_among_inputs() -> None:
    devices = [Device(0, "HDA Intel", 2, 48000), Device(2, "USB PnP", 1, 44100), Device(5, "usb pnp 2", 1, 44100)]
    assert choose_device("", devices, 2).index == 2
    assert choose_device("intel", devices, 2).index == 0
    assert choose_device("usb PNP", devices, 0).index == 2  # the whole name of one, though part of another
    assert choose_device("5", devices, 0).index == 5
    with pytest.raises(MicrophoneError, match=r"called 'Usb': 2 'USB PnP', 5 'usb pnp 2'; give"):
        choose_device("Usb", devices, 0)
    with pytest.raises(MicrophoneError, match=r"no microphone 1; there are 0 'HDA Intel', 2 "):
        choose_device("1", devices, 0)
    with pytest.raises(MicrophoneError, match=r"no default microphone; choose one of 0 "):
        choose_device("", devices, -1)
    with pytest.raises(MicrophoneError, match=r"^There is no microphone; plug one in"):
        choose_device("", [], -1)


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
