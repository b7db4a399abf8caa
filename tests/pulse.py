"""A microphone for tests: a private PulseAudio whose null sink is heard through ALSA's pulse plugin and PortAudio."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

RATE_HZ = 48000
PACKAGES = {  # what must be there: the Debian package that brings it
    "pulseaudio": "pulseaudio",
    "pactl": "pulseaudio-utils",
    "paplay": "pulseaudio-utils",
}
ALSA = 'pcm.!default { type pulse hint { show on description "Pulse" } }\nctl.!default { type pulse }\n'


class Pulse:
    """The running server. `env` is for processes that are to hear the microphone: PortAudio reads it as it starts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        home = folder / "home"
        home.mkdir(mode=0o700)
        (home / ".asoundrc").write_text(ALSA)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "XDG_", "DBUS_"))},
            "HOME": str(home),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder),
            "PULSE_SERVER": f"unix:{folder}/native",
        }
        self._server = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes", "--realtime=no",
                "--high-priority=no", "--use-pid-file=no",
                "-L", f"module-native-protocol-unix socket={folder}/native auth-anonymous=1",
                # norewinds: without it, what is played comes twice or not at all
                "-L", f"module-null-sink sink_name=mic rate={RATE_HZ} channels=1 format=s16le norewinds=1",
            ],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until_s = time.monotonic() + 20
        while self._run("pactl", "info", check=False) != 0:
            assert self._server.poll() is None, "pulseaudio ended at once"
            assert time.monotonic() < until_s, "pulseaudio does not answer"
            time.sleep(0.05)
        self._run("pactl", "set-default-source", "mic.monitor")

    def play(self, samples: NDArray[np.int16]) -> None:
        """Play `(samples,)` or `(samples, channels)` into the microphone and return when all of it was heard."""
        path = self._folder / "played.wav"
        soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
        self._run("paplay", "-d", "mic", str(path))

    def suspend(self) -> None:
        """No more audio, though nothing says so."""
        self._run("pactl", "suspend-sink", "mic", "1")

    def freeze(self) -> None:
        """The server does not answer any more."""
        self._server.send_signal(signal.SIGSTOP)

    def unplug(self) -> None:
        """The microphone is gone, the server stays."""
        self._run("pactl", "unload-module", "module-null-sink")

    def stop(self) -> None:
        self._server.kill()
        self._server.wait()

    def _run(self, *command: str, check: bool = True) -> int:
        done = subprocess.run(command, env=self.env, capture_output=True, timeout=60)
        assert not (check and done.returncode), done.stderr.decode()
        return done.returncode


def missing_package() -> str | None:
    """The Debian package that is missing here for a microphone of tests."""
    for program, package in PACKAGES.items():
        if shutil.which(program) is None:
            return package
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "libasound2-plugins"
    found = subprocess.run([sys.executable, "-c", "import sounddevice"], capture_output=True)
    return "libportaudio2" if found.returncode else None


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    """A server of this test's own."""
    if package := missing_package():
        pytest.skip(f"needs a microphone for tests: apt-get install {package}")
    # Not tmp_path: the path of a socket must be short.
    with tempfile.TemporaryDirectory() as folder:
        server = Pulse(Path(folder))
        try:
            yield server
        finally:
            server.stop()
