"""A broker for tests: Debian's mosquitto on a port of loopback, with a password, and with TLS where asked for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

USER, PASSWORD = "ear", "sesame/1"
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin"  # where Debian puts it


class Broker:
    """A mosquitto that can be killed and started again, with its store."""

    def __init__(self, folder: Path, tls: bool = False) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        passwords = folder / "passwords"
        subprocess.run(
            [tool("mosquitto_passwd"), "-b", "-c", str(passwords), USER, PASSWORD], check=True, capture_output=True
        )
        lines = [
            f"listener {self.port} 127.0.0.1", "allow_anonymous false", f"password_file {passwords}",
            # With the defaults a broker that is killed forgets what it had acknowledged.
            "persistence true", f"persistence_location {folder}/", "autosave_interval 1", "autosave_on_changes true",
        ]  # fmt: skip
        if tls:
            self.ca = certificate(folder)
            lines += [f"certfile {folder}/cert.pem", f"keyfile {folder}/key.pem"]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        if os.getuid() == 0:  # it gives up being root
            (folder / "mosquitto.conf").write_text("\n".join([*lines, "user root"]) + "\n")
        self.start()

    def start(self) -> None:
        command = [tool("mosquitto"), "-c", str(self.folder / "mosquitto.conf")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_s = time.monotonic() + 10
        while True:
            assert self._process.poll() is None, "mosquitto ended at once"
            assert time.monotonic() < until_s, "mosquitto does not answer"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut does."""
        self._process.kill()
        self._process.wait()

    def address(self, topic: str, options: str, scheme: str = "mqtt") -> str:
        return f"{scheme}://{USER}:{PASSWORD.replace('/', '%2F')}@localhost:{self.port}/{topic}?{options}"


def certificate(folder: Path) -> Path:
    """A certificate of localhost that has signed itself."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"),
            "-out", str(folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem"


def tool(name: str) -> str:
    found = shutil.which(name, path=SEARCHED)
    assert found, name
    return found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    yield from running(tmp_path, tls=False)


@pytest.fixture
def tls_broker(tmp_path: Path) -> Iterator[Broker]:
    yield from running(tmp_path, tls=True)


def running(folder: Path, tls: bool) -> Iterator[Broker]:
    if shutil.which("mosquitto", path=SEARCHED) is None:
        pytest.skip("needs an MQTT broker: apt-get install mosquitto")
    server = Broker(folder, tls)
    try:
        yield server
    finally:
        server.kill()
