"""A broker for tests: Debian's mosquitto on a port of loopback, with a password, and with TLS where asked for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.sources.board import signal as samples_of

USER, PASSWORD = "ear", "sesame/1"
TOPIC = "room/accelerometer"
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin"  # where Debian puts it


class Broker:
    """A mosquitto that can be killed and started again, with its store."""

    def __init__(self, folder: Path, tls: bool = False, more: Sequence[str] = ()) -> None:
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
            *more,
        ]  # fmt: skip
        self.ca = certificate(folder) if tls else None
        if tls:
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

    def freeze(self) -> None:
        """It neither answers nor goes; `kill` ends that."""
        self._process.send_signal(signal.SIGSTOP)

    def set_password(self, password: str) -> None:
        """For the next start."""
        command = [tool("mosquitto_passwd"), "-b", str(self.folder / "passwords"), USER, password]
        subprocess.run(command, check=True, capture_output=True)

    def address(self, topic: str, options: str, scheme: str = "mqtt") -> str:
        return f"{scheme}://{USER}:{PASSWORD.replace('/', '%2F')}@localhost:{self.port}/{topic}?{options}"


@contextmanager
def sender(broker: Broker, name: str = "board", **more: Any) -> Iterator[paho.Client]:
    """Whoever publishes; `more` is of the client."""
    client = paho.Client(CallbackAPIVersion.VERSION2, name, **more)
    client.username_pw_set(USER, PASSWORD)
    client.reconnect_delay_set(0.1, 0.2)  # type: ignore[arg-type]
    if broker.ca:
        client.tls_set(str(broker.ca))
    client.connect("localhost", broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def send(client: paho.Client, payload: bytes, **more: Any) -> None:
    client.publish(TOPIC, payload, qos=1, **more).wait_for_publish(10)


def numbered(first: int, count: int = 50) -> bytes:
    """A message of samples that say where they belong."""
    return json.dumps({"seq": first, "samples": samples_of(first, count, 3).tolist()}).encode()


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
    yield from running(tmp_path)


@pytest.fixture
def tls_broker(tmp_path: Path) -> Iterator[Broker]:
    yield from running(tmp_path, tls=True)


@pytest.fixture
def small_broker(tmp_path: Path) -> Iterator[Broker]:
    yield from running(tmp_path, more=["max_queued_messages 20", "max_inflight_messages 1"])


def running(folder: Path, tls: bool = False, more: Sequence[str] = ()) -> Iterator[Broker]:
    if shutil.which("mosquitto", path=SEARCHED) is None:
        pytest.skip("needs an MQTT broker: apt-get install mosquitto")
    server = Broker(folder, tls, more)
    try:
        yield server
    finally:
        server.kill()
