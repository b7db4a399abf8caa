"""Microphones for tests: private PulseAudio servers, heard through ALSA's pulse plugin and PortAudio."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
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
# norewinds: without it, what is played comes twice or not at all
NULL_SINK = f"module-null-sink sink_name={{}} rate={RATE_HZ} channels=1 format=s16le norewinds=1"
# Where in it any few samples are can be told: 44 s, again and again.
NOISE = np.random.default_rng(7).integers(-30000, 30000, 1 << 21).astype(np.int16)


class Server:
    """A running server. `env` is for processes that are to hear its microphone: PortAudio reads it as it starts."""

    def __init__(self, folder: Path, *modules: str) -> None:
        self.socket = folder / "native"
        self._modules = (f"module-native-protocol-unix socket={self.socket} auth-anonymous=1", *modules)
        home = folder / "home"
        home.mkdir(mode=0o700, parents=True)
        (home / ".asoundrc").write_text(ALSA)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "XDG_", "DBUS_"))},
            "HOME": str(home),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder),
            "PULSE_SERVER": f"unix:{self.socket}",
        }
        self.start()

    def start(self) -> None:
        self._server = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes", "--realtime=no",
                "--high-priority=no", "--use-pid-file=no",
                *(word for module in self._modules for word in ("-L", module)),
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

    def freeze(self) -> None:
        """The server does not answer any more."""
        self._server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._server.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._server.kill()
        self._server.wait()

    def _run(self, *command: str, check: bool = True) -> int:
        done = subprocess.run(command, env=self.env, capture_output=True, timeout=60)
        assert not (check and done.returncode), done.stderr.decode()
        return done.returncode


class Pulse(Server):
    """Its microphone hears what is played."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(folder, NULL_SINK.format("mic"))

    def start(self) -> None:
        super().start()
        self._run("pactl", "set-default-source", "mic.monitor")

    def play(self, samples: NDArray[np.int16]) -> None:
        """Play `(samples,)` or `(samples, channels)` into the microphone and return when all of it was heard."""
        path = self._folder / "played.wav"
        soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
        self._run("paplay", "-d", "mic", str(path))

    def play_at_its_pace(self, samples: NDArray[np.int16]) -> float:
        """Play `(samples,)` with little delay; the time of day at which its first sample was played, to 0.05 s."""
        command = ["pacat", "--playback", "-d", "mic", "--raw", "--format=s16le", f"--rate={RATE_HZ}", "--channels=1"]
        still = np.zeros(RATE_HZ, np.int16)
        whole = np.concatenate([still, samples, still])
        with subprocess.Popen([*command, "--latency-msec=20"], env=self.env, stdin=subprocess.PIPE) as player:
            assert player.stdin
            began_s, step = time.time(), RATE_HZ // 100
            for at in range(0, len(whole), step):
                time.sleep(max(0.0, began_s + at / RATE_HZ - time.time()))
                player.stdin.write(whole[at : at + step].tobytes())
                player.stdin.flush()
            player.kill()
        return began_s + len(still) / RATE_HZ

    def suspend(self) -> None:
        """No more audio, though nothing says so."""
        self._run("pactl", "suspend-sink", "mic", "1")

    def resume(self) -> None:
        self._run("pactl", "suspend-sink", "mic", "0")

    def unplug(self) -> None:
        """The microphone is gone, the server stays."""
        self._run("pactl", "unload-module", "module-null-sink")

    def plug(self) -> None:
        """It is back."""
        self._run("pactl", "load-module", *NULL_SINK.format("mic").split())
        self._run("pactl", "set-default-source", "mic.monitor")


class Noise(Server):
    """`NOISE` is heard here all the time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, NULL_SINK.format("noise"))
        command = ["pacat", "--playback", "-d", "noise", "--raw", "--format=s16le", f"--rate={RATE_HZ}", "--channels=1"]
        self._player = subprocess.Popen(command, env=self.env, stdin=subprocess.PIPE)
        self._playing = threading.Thread(target=self._play, daemon=True)
        self._playing.start()

    def stop(self) -> None:
        self._player.kill()
        self._player.wait()
        self._playing.join()
        super().stop()

    def _play(self) -> None:
        assert self._player.stdin
        with suppress(BrokenPipeError), self._player.stdin as pipe:
            while True:
                pipe.write(NOISE.tobytes())


class Pluggable(Server):
    """Its only microphone hears the noise of another server, and comes and goes."""

    def __init__(self, folder: Path, noise: Noise) -> None:
        self._tunnel = f"server=unix:{noise.socket} source=noise.monitor source_name=mic".split()
        super().__init__(folder)
        self.plug()

    def plug(self) -> None:
        form = f"rate={RATE_HZ} channels=1 format=s16le".split()
        self._run("pactl", "load-module", "module-tunnel-source", *self._tunnel, *form)

    def unplug(self) -> None:
        self._run("pactl", "unload-module", "module-tunnel-source")

    def suspend(self) -> None:
        self._run("pactl", "suspend-source", "mic", "1")

    def resume(self) -> None:
        self._run("pactl", "suspend-source", "mic", "0")


def missing_package() -> str | None:
    """The Debian package that is missing here for a microphone of tests."""
    for program, package in PACKAGES.items():
        if shutil.which(program) is None:
            return package
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "libasound2-plugins"
    found = subprocess.run([sys.executable, "-c", "import sounddevice"], capture_output=True)
    return "libportaudio2" if found.returncode else None


def skip_without_microphone() -> None:
    if package := missing_package():
        pytest.skip(f"needs a microphone for tests: apt-get install {package}")


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    """A server of this test's own."""
    skip_without_microphone()
    # Not tmp_path: the path of a socket must be short.
    with tempfile.TemporaryDirectory() as folder:
        server = Pulse(Path(folder))
        try:
            yield server
        finally:
            server.stop()
