"""PortAudio, sound servers and microphones: real ones, and findings about others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_res.doctor import sound
from edge_res.doctor.finding import Finding
from edge_res.doctor.probe import Answer
from edge_res.doctor.sound import (
    RESTART,
    cards,
    check_microphone,
    check_portaudio,
    check_sound_server,
    judge_heard,
    judge_none,
    server_socket,
)
from tests.doctor.broken import find_first, install
from tests.pulse import Pulse, Server, pulse, skip_without_microphone

__all__ = ["pulse"]  # the fixture

# Nothing is found: what `sounddevice` meets without the Debian package.
HIDES_PORTAUDIO = "import ctypes.util; ctypes.util.find_library = lambda name: None"
# A Raspberry Pi 4 without a microphone, /proc/asound/cards
PI_4_CARDS = """ 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones
                      bcm2835 Headphones
 1 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0
                      vc4-hdmi-0
 2 [vc4hdmi1       ]: vc4-hdmi - vc4-hdmi-1
                      vc4-hdmi-1
"""
HEARD = {
    "inputs": ["1 'USB PnP: Audio (hw:1,0)'"],
    "default": 1,
    "device": "1 'USB PnP: Audio (hw:1,0)'",
    "rate_hz": 48000,
    "samples": 24000,
    "peak": 0.1,
}


def test_portaudio_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDES_PORTAUDIO)  # Python imports it before anything else
    find_first(tmp_path, monkeypatch)
    (found,) = check_portaudio(tmp_path)
    assert (found.severity, found.command) == ("problem", "sudo apt install libportaudio2")


def test_a_faulty_alsa_file(pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pulse.env.items():
        monkeypatch.setenv(name, value)
    with Path(pulse.env["HOME"], ".asoundrc").open("a") as asoundrc:
        asoundrc.write("pcm.front { type null }")
    (found,) = check_portaudio(Path("/"))
    assert (found.severity, found.command) == ("problem", "arecord -L")
    assert found.sentence.startswith("PortAudio does not start, ")


def test_sounddevice_that_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "_cffi_backend", "raise ImportError('libffi.so.7: cannot open shared object file')")
    find_first(tmp_path, monkeypatch)
    (found,) = check_portaudio(tmp_path)
    assert "libffi.so.7" in found.sentence
    assert found.command.endswith("install --force-reinstall sounddevice cffi")


def test_portaudio_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "ask", lambda *question, timeout_s: Answer(None, "nothing", hangs=True))
    (found,) = check_portaudio(tmp_path)
    assert (found.severity, found.command) == ("problem", RESTART)


def use(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(server.env):
        monkeypatch.delenv(name)
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def zeros() -> Iterator[Server]:
    """A microphone that delivers only zeros, like a muted one."""
    skip_without_microphone()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), "module-null-source source_name=mic rate=48000 channels=1")
        yield server
        server.stop()


def test_only_what_is_played_can_be_heard(pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    use(pulse, monkeypatch)
    (found,) = check_microphone(Path("/"))
    assert found.severity == "warning"
    assert "only what this machine plays (mic.monitor)" in found.sentence
    pulse.unplug()
    (found,) = check_microphone(Path("/"))
    assert found.sentence == "There is no microphone: the sound server has none; plug one in."
    assert found.severity == "problem"


def test_a_microphone_of_zeros(zeros: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use(zeros, monkeypatch)
    (found,) = check_microphone(Path("/"))
    assert found.severity == "warning"
    assert found.sentence.endswith("delivers 16000 Hz, but only zeros: is it muted?")
    assert found.command == "pactl set-source-mute @DEFAULT_SOURCE@ 0"


def test_a_microphone_that_hears(zeros: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros._run("pactl", "load-module", "module-sine-source", "source_name=sine")
    zeros._run("pactl", "set-default-source", "sine")
    use(zeros, monkeypatch)
    (found,) = check_microphone(Path("/"))
    assert found.severity == "ok"
    assert "delivers 16000 Hz, with a peak of -" in found.sentence


def test_the_sound_server_of_this_user(tmp_path: Path, pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    use(pulse, monkeypatch)
    assert list(check_sound_server(tmp_path)) == []  # no server is installed in that tree
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/pulseaudio").touch()
    assert [found.severity for found in check_sound_server(tmp_path)] == ["ok"]
    pulse.stop()
    (found,) = check_sound_server(tmp_path)
    assert (found.severity, found.command) == ("warning", "pulseaudio --start")
    (tmp_path / "usr/bin/pipewire-pulse").touch()
    assert [found.command for found in check_sound_server(tmp_path)] == [
        "systemctl --user start pipewire-pulse.socket wireplumber"
    ]


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, "/run/user/1000/pulse/native"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/pulse/native"),
        ({"PULSE_RUNTIME_PATH": "/tmp/p"}, "/tmp/p/native"),
        ({"PULSE_SERVER": "unix:/tmp/q/native"}, "/tmp/q/native"),
        ({"PULSE_SERVER": "{4711}unix:/tmp/q/native tcp:host:4713"}, "/tmp/q/native"),
        ({"PULSE_SERVER": "/tmp/q/native"}, "/tmp/q/native"),
        ({"PULSE_SERVER": "tcp:host:4713"}, None),
    ],
)
def test_where_a_sound_server_listens(environ: dict[str, str], path: str | None) -> None:
    assert server_socket(environ, 1000) == (Path(path) if path else None)


def test_no_microphone(tmp_path: Path) -> None:
    (tmp_path / "proc/asound").mkdir(parents=True)
    (tmp_path / "proc/asound/cards").write_text(PI_4_CARDS)
    known = cards(tmp_path)
    assert known == ["Headphones", "vc4hdmi0", "vc4hdmi1"]
    assert (
        "none of the sound cards records (Headphones, vc4hdmi0, vc4hdmi1)" in judge_none(None, known, [], []).sentence
    )
    assert "no microphone and no sound card" in judge_none(None, cards(tmp_path / "empty"), [], []).sentence
    in_use = judge_none("it is in use by arecord (process 7); end that first", known, [], [])
    assert in_use.sentence.endswith("can be used: it is in use by arecord (process 7); end that first.")
    unlisted = judge_none(None, known, [Path("/dev/snd/pcmC3D0c")], [])
    assert "although the system has pcmC3D0c" in unlisted.sentence
    closed = judge_none("permission denied", known, [], [Finding("group", "warning", "", "sudo usermod -aG audio pi")])
    assert closed.command == "sudo usermod -aG audio pi"
    assert {found.severity for found in (in_use, unlisted, closed)} == {"problem"}


def test_commands_for_alsa_alone() -> None:
    assert judge_heard(HEARD, None, "").sentence == (
        "The microphone 1 'USB PnP: Audio (hw:1,0)' delivers 48000 Hz, with a peak of -20 dB of full scale."
    )
    assert judge_heard({**HEARD, "peak": 0.0}, None, "").command == "alsamixer -V capture"
    nothing = judge_heard({**HEARD, "samples": 0}, None, "")
    assert (nothing.severity, nothing.command) == ("problem", "arecord -d 2 -vv /dev/null")


def test_microphones_that_cannot_be_opened() -> None:
    refused = {**HEARD, "refused": "The microphone cannot be opened; it is in use."}
    assert judge_heard(refused, ["usb"], "usb").sentence == refused["refused"]
    none = judge_heard({**HEARD, "default": -1}, None, "")
    assert none.sentence == "There is no default microphone; use mic:NAME with one of 1 'USB PnP: Audio (hw:1,0)'."
    assert none.severity == "problem"
