"""A sensor behind a real broker: mosquitto, with a password, killed and started again."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
import soundfile
from paho.mqtt.enums import CallbackAPIVersion

from edge_res.errors import ConfigError, EdgeResError, SignalError, SourceError
from edge_res.sources import Wanted, open_source
from edge_res.sources.framing import pack_frame
from edge_res.sources.mqtt import PASSWORD as VARIABLE
from edge_res.sources.mqtt import Mqtt
from tests.broker import PASSWORD, USER, Broker, broker, tls_broker
from tests.edgeres import DEMO, edgeres, lines
from tests.sources.board import Heard, frames, signal

__all__ = ["broker", "tls_broker"]  # the fixtures

WANT = Wanted(1000, 3, 0.08, give_up_s=30.0)
TOPIC = "room/accelerometer"


@contextmanager
def sender(broker: Broker, **more: Any) -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2, "board")
    client.username_pw_set(USER, PASSWORD)
    client.reconnect_delay_set(0.1, 0.2)  # type: ignore[arg-type]
    if more.get("ca"):
        client.tls_set(str(more["ca"]))
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
    return json.dumps({"seq": first, "samples": signal(first, count, 3).tolist()}).encode()


def open_mqtt(broker: Broker, options: str = "rate=1000&channels=3", want: Wanted = WANT) -> Mqtt:
    source = open_source(broker.address(TOPIC, options), want)
    assert isinstance(source, Mqtt)
    return source


def test_what_is_sent_comes(broker: Broker) -> None:
    with open_mqtt(broker) as source, sender(broker) as board:
        assert (source.rate_hz, source.channels, source.unit) == (1000, 3, "")
        heard = Heard(source)
        for first in range(0, 5000, 50):
            send(board, numbered(first))
        heard.until(lambda heard: heard.received == 5000)
    assert heard.lost == 0
    heard.check_places()
    heard.check_signal()


FORMATS = {
    "json": lambda first: json.dumps(signal(first, 50, 3).tolist()).encode(),
    "int16": lambda first: signal(first, 50, 3).astype("<i2").tobytes(),
    "float32": lambda first: signal(first, 50, 3).astype("<f4").tobytes(),
    "frames": lambda first: b"".join(frames(first, 50, 3)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(broker: Broker, name: str) -> None:
    with open_mqtt(broker, f"rate=1000&channels=3&format={name}&unit=g&scale=0.5") as source, sender(broker) as board:
        assert source.unit == "g"
        heard = Heard(source)
        for first in range(0, 500, 50):
            send(board, FORMATS[name](first))
        heard.until(lambda heard: heard.received == 500)
    assert heard.lost == 0
    np.testing.assert_array_equal(np.concatenate([block for _, _, block in heard.blocks]), 0.5 * signal(0, 500, 3))


def test_one_channel_needs_no_inner_brackets(broker: Broker) -> None:
    want = Wanted(1000, 1, 0.08, give_up_s=30.0)
    with open_mqtt(broker, "rate=1000", want) as source, sender(broker) as board:
        heard = Heard(source)
        send(board, b'{"seq": 0, "samples": [1, 2.5, -3]}')
        send(board, b"[4, 5]")
        heard.until(lambda heard: heard.received == 5)
    assert np.concatenate([block for _, _, block in heard.blocks]).ravel().tolist() == [1, 2.5, -3, 4, 5]


def test_numbered_messages_that_are_missing_or_come_twice_are_counted_exactly(broker: Broker) -> None:
    with open_mqtt(broker) as source, sender(broker) as board:
        heard = Heard(source)
        for first in range(0, 3000, 50):
            if first not in (500, 1000, 1050):
                send(board, numbered(first))
            if first in (250, 2000):
                send(board, numbered(first))
        heard.until(lambda heard: heard.received + heard.lost == 3000)
    assert heard.gaps == [50, 100]
    heard.check_places()
    heard.check_signal()


def test_a_broker_that_is_killed_and_comes_back_loses_only_what_the_gap_says(broker: Broker) -> None:
    with open_mqtt(broker) as source, sender(broker) as board:
        heard = Heard(source)
        for first in range(0, 500, 50):
            send(board, numbered(first))
        heard.until(lambda heard: heard.received == 500)
        broker.kill()
        heard.until(lambda heard: "recovering" in heard.named)
        time.sleep(1.0)  # 1000 samples that the board had to drop
        broker.start()
        for _ in range(100):
            if board.is_connected():
                break
            time.sleep(0.1)
        for first in range(1500, 3000, 50):
            send(board, numbered(first))
        heard.until(lambda heard: heard.received + heard.lost == 3000)
    assert heard.gaps == [1000]
    assert heard.named[-1] == "healthy"
    heard.check_places()
    heard.check_signal()


def test_what_the_broker_kept_for_us_comes_afterwards(broker: Broker) -> None:
    with open_mqtt(broker) as source, sender(broker) as board:
        heard = Heard(source)
        send(board, numbered(0))
        heard.until(lambda heard: heard.received == 50)
        assert source._client.socket() is not None
        source._client.socket().shutdown(2)  # the network is gone, the broker is not
        for first in range(50, 1000, 50):
            send(board, numbered(first))
        heard.until(lambda heard: heard.received == 1000)
    assert heard.lost == 0
    heard.check_signal()


def test_unnumbered_messages_are_missed_by_the_clock(broker: Broker) -> None:
    with open_mqtt(broker, "rate=1000&channels=3&format=int16&alarm=0.5") as source, sender(broker) as board:
        heard = Heard(source)
        send(board, signal(0, 100, 3).astype("<i2").tobytes())
        heard.until(lambda heard: heard.received == 100)
        began_s = time.monotonic()
        heard.until(lambda heard: heard.named == ["alarmed"])
        heard.listen(1.0)
        send(board, signal(0, 100, 3).astype("<i2").tobytes())
        heard.until(lambda heard: heard.received == 200)
        elapsed_s = time.monotonic() - began_s
    (lost,) = heard.gaps
    assert elapsed_s - 0.4 < (lost + 100) / 1000 < elapsed_s + 0.1
    assert heard.named == ["alarmed", "healthy"]


def test_what_cannot_be_read_is_lost_and_said_once(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    bad = [b"", b"{", b'{"samples": "x"}', b'{"seq": -1, "samples": [[1, 2, 3]]}', b'{"values": []}', b"[[1, 2], [3]]"]
    with open_mqtt(broker) as source, sender(broker) as board:
        heard = Heard(source)
        send(board, numbered(0))
        for payload in bad:
            send(board, payload)
        send(board, numbered(100))
        heard.until(lambda heard: heard.received == 100)
    assert heard.gaps == [50]
    (told,) = [record.getMessage() for record in caplog.records]
    assert "a message cannot be read as json" in told


def test_a_retained_message_is_of_no_known_age(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with sender(broker) as board:
        send(board, numbered(7000), retain=True)
        with open_mqtt(broker) as source:
            heard = Heard(source)
            send(board, numbered(0))
            heard.until(lambda heard: heard.received == 50)
    heard.check_signal()
    assert "a retained message is left out" in caplog.text


def test_other_channels_than_declared(broker: Broker) -> None:
    with open_mqtt(broker) as source, sender(broker) as board:
        heard = Heard(source)
        send(board, b"[[1, 2], [3, 4]]")
        with pytest.raises(SignalError, match="sends 2 channels, and 3 are expected"):
            heard.listen(5.0)


def test_a_rate_is_measured(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()

    def run() -> None:
        with sender(broker) as board:
            began_s, first = time.monotonic(), 0
            while not stop.wait(max(0.0, began_s + first / 400 - time.monotonic())):
                board.publish(TOPIC, numbered(first, 4))
                first += 4

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with open_mqtt(broker, "rate=measure&channels=3") as source:
            assert source.rate_hz == 400
    finally:
        stop.set()
        thread.join()
    assert "its rate is taken to be 400 Hz" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket open
def test_tls(tls_broker: Broker) -> None:
    address = tls_broker.address(TOPIC, f"rate=1000&channels=3&ca={tls_broker.ca}", "mqtts")
    with open_source(address, WANT) as source, sender(tls_broker, ca=tls_broker.ca) as board:
        heard = Heard(source)
        send(board, numbered(0))
        heard.until(lambda heard: heard.received == 50)
    with pytest.raises(SourceError, match=r"cannot be reached: .*certificate verify failed"):
        open_source(tls_broker.address(TOPIC, "rate=1000&channels=3", "mqtts"), WANT)


def test_a_password_may_come_from_the_environment(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"mqtt://{USER}@localhost:{broker.port}/{TOPIC}?rate=1000&channels=3"
    monkeypatch.setenv(VARIABLE, "wrong")
    with pytest.raises(SourceError, match=f"does not let us read {TOPIC}: .*not authorized.*{VARIABLE}"):
        open_source(address, WANT)
    monkeypatch.setenv(VARIABLE, PASSWORD)
    with open_source(address, WANT) as source:
        assert source.name == f"mqtt://localhost:{broker.port}/{TOPIC}"


REFUSED: dict[str, tuple[type[EdgeResError], str]] = {
    "mqtt://u:secret@host/t?rate=1&colour=red": (ConfigError, "has the unknown option 'colour'"),
    "mqtt://u:secret@host/t?channels=3": (ConfigError, "does not say its sample rate"),
    "mqtt://u:secret@host/?rate=1": (ConfigError, "names no topic; give it as in"),
    "mqtt:host/t?rate=1": (ConfigError, "names no broker"),
    "mqtt://u:secret@host:x/t?rate=1": (ConfigError, "has no port that can be"),
    "mqtt://host/a/%23?rate=1": (ConfigError, "The topic a/# means several senders"),
    "mqtt://host/t?rate=1&format=xml": (ConfigError, "says format=xml; known are json, int16, float32, frames"),
    "mqtt://host/t?rate=1&qos=3": (ConfigError, "says qos=3; it may be 0, 1 or 2"),
    "mqtt://host/t?rate=1&channels=2": (SignalError, "has 2 channels and the model listens to 3 channels"),
    "mqtt://u:secret@127.0.0.1:1/t?rate=1": (
        SourceError,
        "The broker 127.0.0.1:1 cannot be reached: Connection refused",
    ),
    "mqtt://no.such.host.invalid/t?rate=1": (SourceError, "no.such.host.invalid:1883 cannot be reached"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_is_refused_without_a_password_in_the_sentence(text: str) -> None:
    kind, message = REFUSED[text]
    with pytest.raises(EdgeResError) as caught:
        open_source(text, WANT)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_the_package_the_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(SourceError, match=r"pip install 'edge-res\[mqtt\]'"):
        open_source("mqtt://host/t?rate=1", WANT)


def test_words_are_heard_over_a_broker(broker: Broker, tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    samples = samples[: 12 * rate_hz]
    soundfile.write(tmp_path / "cut.wav", samples, rate_hz)
    address = broker.address(TOPIC, "rate=16000&format=frames&scale=3.0517578125e-05")
    out: dict[str, Any] = {}

    def run() -> None:
        out["result"] = edgeres("listen", address, "--give-up", "4", "--format", "jsonl")

    thread = threading.Thread(target=run)
    thread.start()
    with sender(broker) as board:
        time.sleep(3.0)  # by then it has subscribed
        for at in range(0, len(samples), 1600):
            send(board, pack_frame(at, samples[at : at + 1600, np.newaxis]))
            time.sleep(0.02)
    thread.join()
    assert out["result"].returncode == 3  # it was lost
    assert "sesame" not in out["result"].stderr.decode() + out["result"].stdout.decode()
    found = [json.loads(line) for line in out["result"].stdout.splitlines()]
    expected = lines(edgeres("listen", tmp_path / "cut.wav", "--format", "jsonl"))
    assert [{**line, "source": ""} for line in found] == [{**line, "source": ""} for line in expected]
