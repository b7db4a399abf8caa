"""What an MQTT source refuses, and what it says of messages that are no samples."""

from __future__ import annotations

import sys

import pytest

from edge_res.broker import PASSWORD as VARIABLE
from edge_res.errors import ConfigError, EdgeResError, SignalError, SourceError
from edge_res.sources import Wanted, open_source
from tests.broker import PASSWORD, TOPIC, USER, Broker, broker, numbered, send, sender, tls_broker
from tests.sources.board import Heard
from tests.sources.test_mqtt import open_mqtt

__all__ = ["broker", "tls_broker"]  # the fixtures

WANT = Wanted(1000, 3, 0.08, give_up_s=30.0)


def test_unreadable_messages_are_lost_and_reported_once(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    bad = [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff",
        b"null",
        b"[[1, 2], [3, 4]]",
        b'{"samples": "x"}',
        b'{"seq": -1, "samples": [[1, 2, 3]]}',
        b'{"values": []}',
        b"[[1, 2], [3]]",
    ]
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


def test_a_retained_message_is_left_out(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
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
        with pytest.raises(SignalError, match="sends 2 channels, expected 3"):
            heard.listen(5.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket open
def test_tls(tls_broker: Broker) -> None:
    address = tls_broker.address(TOPIC, f"rate=1000&channels=3&ca={tls_broker.ca}", "mqtts")
    with open_source(address, WANT) as source, sender(tls_broker) as board:
        heard = Heard(source)
        send(board, numbered(0))
        heard.until(lambda heard: heard.received == 50)
    with open_source(tls_broker.address(TOPIC, f"tls=yes&rate=1000&channels=3&ca={tls_broker.ca}"), WANT):
        pass
    with pytest.raises(SourceError, match=r"does not answer as an MQTT broker; .* use mqtts:// if it accepts only TLS"):
        open_source(tls_broker.address(TOPIC, "rate=1000&channels=3"), WANT)
    with pytest.raises(SourceError, match=r"cannot be reached: .*certificate verify failed"):
        open_source(tls_broker.address(TOPIC, "rate=1000&channels=3", "mqtts"), WANT)


def test_a_password_may_come_from_the_environment(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"mqtt://{USER}@localhost:{broker.port}/{TOPIC}?rate=1000&channels=3"
    monkeypatch.setenv(VARIABLE, "wrong")
    with pytest.raises(
        SourceError,
        match=rf":{broker.port} refuses the connection: not authorized; .*{VARIABLE}\)\.$",
    ):
        open_source(address, WANT)
    monkeypatch.setenv(VARIABLE, PASSWORD)
    with open_source(address, WANT) as source:
        assert source.name == f"mqtt://localhost:{broker.port}/{TOPIC}"


REFUSED: dict[str, tuple[type[EdgeResError], str]] = {
    "mqtt://u:secret@host/t?rate=1&colour=red": (ConfigError, "has the unknown option 'colour'"),
    "mqtt://u:secret@host/t?channels=3": (ConfigError, "does not say its sample rate"),
    "mqtt://u:secret@host/?rate=1": (ConfigError, "names no topic; give it as in"),
    "mqtt:host/t?rate=1": (ConfigError, "names no broker"),
    "mqtt://u:secret@host:x/t?rate=1": (ConfigError, "has an invalid port"),
    "mqtt://host/a/%23?rate=1": (ConfigError, "The topic a/# matches several senders"),
    "mqtt://host/t?rate=1&format=xml": (ConfigError, "says format=xml; expected json, int16, float32, frames"),
    "mqtt://host/t?rate=1&qos=3": (ConfigError, "says qos=3; expected 0, 1 or 2"),
    "mqtt://host/t?rate=1&channels=2": (SignalError, "has 2 channels, but the model expects 3"),
    "mqtt://host/t?rate=1&ca=ca.pem": (ConfigError, "has ca= but no encryption; use mqtts:// or tls=yes"),
    "mqtt://u:secret@127.0.0.1:1/t?rate=1": (
        SourceError,
        "The broker 127.0.0.1:1 cannot be reached: Connection refused",
    ),
    "mqtt://no.such.host.invalid/t?rate=1": (SourceError, "no.such.host.invalid:1883 cannot be reached"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_errors_do_not_show_the_password(text: str) -> None:
    kind, message = REFUSED[text]
    with pytest.raises(EdgeResError) as caught:
        open_source(text, WANT)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(SourceError, match=r"pip install 'edge-res\[mqtt\]'"):
        open_source("mqtt://host/t?rate=1", WANT)
