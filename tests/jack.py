"""A private JACK server without a sound card: its dummy driver, whose rate is fixed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pulse import skip_without_microphone


class Jack:
    """The running server. `env` is for processes that are to hear its microphone, `system`."""

    def __init__(self, folder: Path, period: int, rate_hz: int = 48000) -> None:
        name = folder.name
        self._period = period
        self._rate_hz = rate_hz
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "XDG_", "DBUS_"))},
            "HOME": str(folder),
            "PULSE_SERVER": "unix:/nowhere",
            "JACK_DEFAULT_SERVER": name,
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }
        self.start()

    def start(self) -> None:
        self._server = subprocess.Popen(
            [
                "jackd", "--no-realtime", "--no-mlock", "-n", self.env["JACK_DEFAULT_SERVER"],
                "-d", "dummy", "-r", str(self._rate_hz), "-p", str(self._period),
            ],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until_s = time.monotonic() + 20
        while "system:capture_1" not in self.ports():
            assert self._server.poll() is None, "jackd ended at once"
            assert time.monotonic() < until_s, "jackd does not answer"
            time.sleep(0.05)

    def ports(self) -> list[str]:
        return subprocess.run(["jack_lsp"], env=self.env, capture_output=True, text=True).stdout.split()

    def connect(self, output: str, input: str) -> None:
        subprocess.run(["jack_connect", output, input], env=self.env, check=True, capture_output=True)

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait(20)
        for left in Path("/dev/shm").glob(f"jack*_{self.env['JACK_DEFAULT_SERVER']}_*"):
            left.unlink()


@pytest.fixture
def jack(request: pytest.FixtureRequest) -> Iterator[Jack]:
    """A server of this test's own; its parameter is the period in samples."""
    skip_without_microphone()
    if shutil.which("jackd") is None:
        pytest.skip("needs a JACK server for tests: apt-get install jackd2")
    with tempfile.TemporaryDirectory(prefix="jack") as folder:
        server = Jack(Path(folder), getattr(request, "param", 1024))
        try:
            yield server
        finally:
            server.stop()
