"""PortAudio, the sound server and the microphone."""

from __future__ import annotations

import math
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_res.doctor.access import SOUND, check_group
from edge_res.doctor.finding import Finding
from edge_res.doctor.packages import PIP
from edge_res.doctor.probe import ask

_TIMEOUT_S = 15.0  # PortAudio waits for ever for a sound server that hangs
RESTART = "systemctl --user restart pipewire pipewire-pulse wireplumber || pulseaudio --kill"
_SERVERS = {  # program: what starts it for the user who asks
    "pipewire-pulse": "systemctl --user start pipewire-pulse.socket wireplumber",
    "pulseaudio": "pulseaudio --start",
}


def check_portaudio(root: Path) -> Iterator[Finding]:
    """Whether the library that microphones are read with can be loaded."""
    answer = ask("version", "sounddevice", timeout_s=_TIMEOUT_S)
    if answer.told is not None:
        yield Finding("portaudio", "ok", f"PortAudio is here (sounddevice {answer.told['version']}).")
    elif answer.why.startswith("OSError"):  # what sounddevice raises without it
        told = "A microphone needs the PortAudio library, which is missing"
        yield Finding("portaudio", "problem", f"{told}.", "sudo apt install libportaudio2")
    elif answer.hangs:
        told = "PortAudio hangs, as it does where a sound server does not answer: start that again"
        yield Finding("portaudio", "problem", f"{told}.", RESTART)
    elif "PortAudioError" in answer.why:
        told = "PortAudio does not start, as where ~/.asoundrc or /etc/asound.conf is wrong; this names file and line"
        yield Finding("portaudio", "problem", f"{told}.", "arecord -L")
    else:
        told = f"sounddevice cannot be imported: {answer.why}"
        yield Finding("portaudio", "problem", f"{told}.", f"{PIP} install --force-reinstall sounddevice cffi")


def check_sound_server(root: Path) -> Iterator[Finding]:
    """Whether a sound server that is installed answers this user."""
    installed = [name for name in _SERVERS if (root / "usr/bin" / name).exists()]
    path = server_socket(os.environ, os.getuid())
    if not installed or path is None:  # ALSA's cards are used directly, or a server on another machine
        return
    if answers(path):
        yield Finding("sound-server", "ok", f"A sound server listens at {path}.")
        return
    told = (
        f"The sound server {installed[0]} is installed, but none answers this user at {path}; microphones are opened "
        "directly then, which fails while another user's server has them"
    )
    yield Finding("sound-server", "warning", f"{told}.", _SERVERS[installed[0]])


def server_socket(environ: Mapping[str, str], uid: int) -> Path | None:
    """Where PulseAudio's clients look, PipeWire's imitation included; None: not on this machine."""
    server = environ.get("PULSE_SERVER", "")
    if server:
        found = re.search(r"(?:unix:|^)(/\S+)", server)
        return Path(found[1]) if found else None
    runtime = environ.get("PULSE_RUNTIME_PATH")
    return Path(runtime or Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}") / "pulse") / "native"


def answers(path: Path) -> bool:
    """Whether somebody listens at that socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def check_microphone(root: Path) -> Iterator[Finding]:
    """Whether the default microphone delivers something: half a second of it is listened to."""
    answer = ask("microphones", timeout_s=_TIMEOUT_S)
    if answer.told is None:
        told = f"Looking for microphones has failed: {answer.why}; if a sound server hangs, start it again"
        yield Finding("microphone", "problem", f"{told}.", RESTART)
    elif "error" in answer.told:
        yield Finding("microphone", "problem", str(answer.told["error"]))
    elif not answer.told["inputs"]:
        closed = [finding for finding in check_group(root) if finding.severity == "warning"]
        yield judge_none(answer.told["reason"], cards(root), sorted((root / "dev").glob(SOUND)), closed)
    else:
        yield judge_heard(answer.told, server_sources(), default_source())


def judge_none(
    reason: str | None, known: Sequence[str], recording: Sequence[Path], closed: Sequence[Finding]
) -> Finding:
    """PortAudio has no input, for a `reason` that may be known.

    `known` are ALSA's cards, `recording` the nodes of those that record, `closed` what `check_group` says of these.
    """
    if closed:
        told = "There is no microphone that this user may open: see group"
        return Finding("microphone", "problem", f"{told}.", closed[0].command)
    told = "There is no microphone, nor any sound card: plug one in, or see docs/how-to/raspberry-pi.md on its I2S pins"
    if reason:
        told = f"There is no microphone that can be used: {reason}"
    elif recording:
        told = f"PortAudio has no input, though the system knows {', '.join(node.name for node in recording)}"
    elif known:
        told = f"There is no microphone: none of the sound cards records ({', '.join(known)}); plug one in"
    return Finding("microphone", "problem", f"{told}.", "arecord -l")


def judge_heard(told: Mapping[str, Any], sources: Sequence[str] | None, default: str) -> Finding:
    """`told` is what `inside.microphones` has found.

    `sources` are the sound server's, `default` that which "mic:" means: None and "" where there is no server.
    """
    if told["default"] < 0:
        listed = ", ".join(told["inputs"])
        return Finding("microphone", "problem", f"No microphone is the default: say mic:NAME, of {listed}.")
    if "refused" in told:
        if sources is not None and all(name.endswith(".monitor") for name in sources):
            sentence = "There is no microphone: the sound server knows none; plug one in."
            return Finding("microphone", "problem", sentence, "pactl list short sources")
        return Finding("microphone", "problem", str(told["refused"]))
    named = f"The microphone {told['device']}"
    if told["samples"] == 0:
        command = "arecord -d 2 -vv /dev/null" if sources is None else "pactl suspend-source @DEFAULT_SOURCE@ 0"
        return Finding("microphone", "problem", f"{named} can be opened, but delivers nothing.", command)
    heard = f"{named} delivers {told['rate_hz']} Hz"
    if default.endswith(".monitor"):
        sentence = f"{heard}, but only what this machine plays ({default}): choose a microphone, or plug one in."
        return Finding("microphone", "warning", sentence, "pactl list short sources; pactl set-default-source NAME")
    if told["peak"] == 0.0:
        command = "alsamixer -V capture" if sources is None else "pactl set-source-mute @DEFAULT_SOURCE@ 0"
        return Finding("microphone", "warning", f"{heard}, all of it zero: is it muted?", command)
    return Finding(
        "microphone", "ok", f"{heard}, at most {20 * math.log10(told['peak']):.0f} dB of full scale just now."
    )


def cards(root: Path) -> list[str]:
    """ALSA's cards by their ids, from `/proc/asound/cards`."""
    try:
        text = (root / "proc/asound/cards").read_text(errors="replace")
    except OSError:
        return []
    return [name.strip() for name in re.findall(r"^ *\d+ \[([^]]*)\]", text, re.MULTILINE)]


def server_sources() -> list[str] | None:
    """The sound server's sources, what it plays (.monitor) among them; None without a server or its program."""
    listed = _pactl("list", "short", "sources")
    return None if listed is None else [line.split("\t")[1] for line in listed.splitlines() if "\t" in line]


def default_source() -> str:
    """The sound server's default source; empty where it tells none."""
    found = re.search(r"^Default Source: (\S+)", _pactl("info") or "", re.MULTILINE)
    return found[1] if found else ""


def _pactl(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["pactl", *arguments], env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, timeout=5.0
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
