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

_TIMEOUT_S = 15.0  # PortAudio never stops waiting for a sound server that hangs
RESTART = "systemctl --user restart pipewire pipewire-pulse wireplumber || pulseaudio --kill"
_SERVERS = {  # program: the command that starts it for this user
    "pipewire-pulse": "systemctl --user start pipewire-pulse.socket wireplumber",
    "pulseaudio": "pulseaudio --start",
}


def check_portaudio(root: Path) -> Iterator[Finding]:
    """Whether PortAudio, the library that reads microphones, can be loaded."""
    answer = ask("version", "sounddevice", timeout_s=_TIMEOUT_S)
    if answer.value is not None:
        yield Finding("portaudio", "ok", f"PortAudio is installed (sounddevice {answer.value['version']}).")
    elif answer.why.startswith("OSError"):  # raised by sounddevice without PortAudio
        sentence = "Microphones require the PortAudio library, which is missing"
        yield Finding("portaudio", "problem", f"{sentence}.", "sudo apt install libportaudio2")
    elif answer.hangs:
        sentence = "PortAudio hangs, probably because the sound server does not answer: restart it"
        yield Finding("portaudio", "problem", f"{sentence}.", RESTART)
    elif "PortAudioError" in answer.why:
        sentence = (
            "PortAudio does not start, probably because of an error in ~/.asoundrc or /etc/asound.conf; "
            "this command names file and line"
        )
        yield Finding("portaudio", "problem", f"{sentence}.", "arecord -L")
    else:
        sentence = f"sounddevice cannot be imported: {answer.why}"
        yield Finding("portaudio", "problem", f"{sentence}.", f"{PIP} install --force-reinstall sounddevice cffi")


def check_sound_server(root: Path) -> Iterator[Finding]:
    """Whether the installed sound server answers this user."""
    installed = [name for name in _SERVERS if (root / "usr/bin" / name).exists()]
    path = server_socket(os.environ, os.getuid())
    if not installed or path is None:  # then ALSA's cards are used directly, or a server elsewhere
        return
    if answers(path):
        yield Finding("sound-server", "ok", f"A sound server listens at {path}.")
        return
    sentence = (
        f"The sound server {installed[0]} is installed, but does not answer this user at {path}; microphones are then "
        "opened directly, which fails while another user's server uses them"
    )
    yield Finding("sound-server", "warning", f"{sentence}.", _SERVERS[installed[0]])


def server_socket(environ: Mapping[str, str], uid: int) -> Path | None:
    """Where PulseAudio's clients find the server, PipeWire's included; None if it is on another machine."""
    server = environ.get("PULSE_SERVER", "")
    if server:
        found = re.search(r"(?:unix:|^)(/\S+)", server)
        return Path(found[1]) if found else None
    runtime = environ.get("PULSE_RUNTIME_PATH")
    return Path(runtime or Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}") / "pulse") / "native"


def answers(path: Path) -> bool:
    """Whether a server listens at that socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def check_microphone(root: Path) -> Iterator[Finding]:
    """Whether the default microphone delivers sound: half a second of it is read."""
    answer = ask("microphones", timeout_s=_TIMEOUT_S)
    if answer.value is None:
        sentence = f"Microphones could not be listed: {answer.why}; if the sound server hangs, restart it"
        yield Finding("microphone", "problem", f"{sentence}.", RESTART)
    elif "error" in answer.value:
        yield Finding("microphone", "problem", str(answer.value["error"]))
    elif not answer.value["inputs"]:
        closed = [finding for finding in check_group(root) if finding.severity == "warning"]
        yield judge_none(answer.value["reason"], cards(root), sorted((root / "dev").glob(SOUND)), closed)
    else:
        yield judge_heard(answer.value, server_sources(), default_source())


def judge_none(
    reason: str | None, known: Sequence[str], recording: Sequence[Path], closed: Sequence[Finding]
) -> Finding:
    """The finding if PortAudio has no input, for a `reason` that may be None.

    `known` are ALSA's cards, `recording` the nodes of those that record, `closed` the warnings of `check_group` about
    them.
    """
    if closed:
        sentence = "There is no microphone that this user may open: see group"
        return Finding("microphone", "problem", f"{sentence}.", closed[0].command)
    sentence = "There is no microphone and no sound card: plug one in (docs/how-to/raspberry-pi.md for I2S microphones)"
    if reason:
        sentence = f"No microphone can be used: {reason}"
    elif recording:
        sentence = f"PortAudio has no input, although the system has {', '.join(node.name for node in recording)}"
    elif known:
        sentence = f"There is no microphone: none of the sound cards records ({', '.join(known)}); plug one in"
    return Finding("microphone", "problem", f"{sentence}.", "arecord -l")


def judge_heard(heard: Mapping[str, Any], sources: Sequence[str] | None, default: str) -> Finding:
    """The finding about what `inside.microphones` returned as `heard`.

    `sources` are the sound server's, `default` is the one that "mic:" stands for; None and "" without a server.
    """
    if heard["default"] < 0:
        listed = ", ".join(heard["inputs"])
        return Finding("microphone", "problem", f"There is no default microphone; use mic:NAME with one of {listed}.")
    if "refused" in heard:
        if sources is not None and all(name.endswith(".monitor") for name in sources):
            sentence = "There is no microphone: the sound server has none; plug one in."
            return Finding("microphone", "problem", sentence, "pactl list short sources")
        return Finding("microphone", "problem", str(heard["refused"]))
    named = f"The microphone {heard['device']}"
    if heard["samples"] == 0:
        command = "arecord -d 2 -vv /dev/null" if sources is None else "pactl suspend-source @DEFAULT_SOURCE@ 0"
        return Finding("microphone", "problem", f"{named} can be opened but delivers nothing.", command)
    delivers = f"{named} delivers {heard['rate_hz']} Hz"
    if default.endswith(".monitor"):
        sentence = f"{delivers}, but only what this machine plays ({default}): choose a microphone, or plug one in."
        return Finding("microphone", "warning", sentence, "pactl list short sources; pactl set-default-source NAME")
    if heard["peak"] == 0.0:
        command = "alsamixer -V capture" if sources is None else "pactl set-source-mute @DEFAULT_SOURCE@ 0"
        return Finding("microphone", "warning", f"{delivers}, but only zeros: is it muted?", command)
    return Finding(
        "microphone",
        "ok",
        f"{delivers}, with a peak of {20 * math.log10(heard['peak']):.0f} dB of full scale.",
    )


def cards(root: Path) -> list[str]:
    """The ids of ALSA's cards, from `/proc/asound/cards`."""
    try:
        text = (root / "proc/asound/cards").read_text(errors="replace")
    except OSError:
        return []
    return [name.strip() for name in re.findall(r"^ *\d+ \[([^]]*)\]", text, re.MULTILINE)]


def server_sources() -> list[str] | None:
    """The sound server's sources, including monitors of what it plays; None without a server or without pactl."""
    listed = _pactl("list", "short", "sources")
    return None if listed is None else [line.split("\t")[1] for line in listed.splitlines() if "\t" in line]


def default_source() -> str:
    """The sound server's default source; empty if it has none."""
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
