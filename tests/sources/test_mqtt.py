"""A sensor behind a real broker: mosquitto, with a password, killed and started again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from edge_res.errors import SourceError
from edge_res.sources import Wanted, open_source
from edge_res.sources.mqtt import Mqtt
from tests.broker import TOPIC, Broker, broker, numbered, send, sender, small_broker, tls_broker
from tests.sources.board import Heard, frames, signal

__all__ = ["broker", "small_broker", "tls_broker"]  # the fixtures

WANT = Wanted(1000, 3, 0.08, give_up_s=30.0)


def open_mqtt(broker: Broker, options: str = "rate=1000&channels=3", want: Wanted = WANT) -> Mqtt:
    source = open_source(broker.address(TOPIC, options), want)
    assert isinstance(source, Mqtt)
    return source


@contextmanager
def no_network(source: Mqtt) -> Iterator[None]:
    """It is gone for some time, and the broker is not."""
    client = source._connection.client
    reconnect = client.reconnect
    client.reconnect = refuse
    client.socket().shutdown(2)
    yield
    client.reconnect = reconnect


def refuse() -> None:
    raise OSError("unreachable")


def test_samples_arrive(broker: Broker) -> None:
    with open_mqtt(broker) as source, sender(broker) as board:
        assert (source.rate_hz, source.channels, source.unit) == (1000, 3, "raw")
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


def test_missing_and_repeated_numbered_messages_are_counted_exactly(broker: Broker) -> None:
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


def test_a_killed_and_restarted_broker_loses_only_what_the_gap_reports(broker: Broker) -> None:
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


def test_messages_that_the_broker_kept_arrive_afterwards(broker: Broker) -> None:
    with open_mqtt(broker) as source, sender(broker) as board:
        heard = Heard(source)
        send(board, numbered(0))
        heard.until(lambda heard: heard.received == 50)
        with no_network(source):
            for first in range(50, 20_000, 50):  # more than the ring holds
                send(board, numbered(first))
        time.sleep(1.0)  # it comes at once, and nobody takes it
        heard.until(lambda heard: heard.received == 20_000)
    assert heard.lost == 0
    heard.check_signal()


def test_messages_that_the_broker_could_not_keep_are_counted_exactly(small_broker: Broker) -> None:
    with open_mqtt(small_broker) as source, sender(small_broker) as board:
        heard = Heard(source)
        send(board, numbered(0, 500))
        heard.until(lambda heard: heard.received == 500)
        with no_network(source):
            for first in range(500, 60500, 500):  # a minute of it, and it keeps 20 messages
                send(board, numbered(first, 500))
        heard.until(lambda heard: heard.received >= 10500)
        send(board, numbered(60500, 500))
        heard.until(lambda heard: heard.received + heard.lost == 61000)
    (lost,) = heard.gaps
    assert lost in (49500, 50000)  # one more message may be on its way
    heard.check_places()
    heard.check_signal()


def test_messages_from_before_the_start_are_dropped(broker: Broker) -> None:
    with sender(broker) as board:
        with open_mqtt(broker) as source:
            heard = Heard(source)
            send(board, numbered(0))
            heard.until(lambda heard: heard.received == 50)
            name = source._connection.name
            source._connection.client.unsubscribe = lambda topic: None  # as if it were killed
        send(board, numbered(50))
        with open_mqtt(broker) as source:
            heard = Heard(source)
            send(board, numbered(100))
            heard.until(lambda heard: heard.received == 50)
            assert heard.blocks[0][2][0, 0] == 100
        send(board, numbered(150))
        kept: list[bytes | bytearray] = []
        with sender(broker, name, clean_session=False) as other:  # in the same session
            other.on_message = lambda client, data, message: kept.append(message.payload)
            time.sleep(0.5)
        assert kept == []  # nor is anything kept for us when we have ended


def test_unnumbered_messages_are_not_kept(broker: Broker) -> None:
    with open_mqtt(broker, "rate=1000&channels=3&alarm=10") as source, sender(broker) as board:
        heard = Heard(source)
        send(board, json.dumps(signal(0, 50, 3).tolist()).encode())
        heard.until(lambda heard: heard.received == 50)
        time.sleep(0.3)
        began_s = time.monotonic()
        with no_network(source):
            for _ in range(100):
                send(board, json.dumps(signal(0, 50, 3).tolist()).encode())
            heard.until(lambda heard: "recovering" in heard.named)
        heard.listen(1.0)
        send(board, json.dumps(signal(0, 50, 3).tolist()).encode())
        heard.until(lambda heard: heard.lost > 0)
        elapsed_s = time.monotonic() - began_s
    (lost,) = heard.gaps
    # What it kept, 5000 samples, would come on top of the gap that the clock tells.
    assert heard.received < 5000
    assert 1000 <= lost <= 1000 * (elapsed_s + 0.5)


def test_the_clock_shows_missing_unnumbered_messages(broker: Broker) -> None:
    with open_mqtt(broker, "rate=1000&channels=3&format=int16&alarm=0.5") as source, sender(broker) as board:
        heard = Heard(source)
        began_s = time.monotonic()
        send(board, signal(0, 100, 3).astype("<i2").tobytes())
        heard.until(lambda heard: heard.received == 100)
        last_s = time.monotonic()
        heard.until(lambda heard: heard.named == ["alarmed"])
        heard.listen(1.0)
        least_s = time.monotonic() - last_s
        send(board, signal(0, 100, 3).astype("<i2").tobytes())
        heard.until(lambda heard: heard.received == 200)
        most_s = time.monotonic() - began_s
    (lost,) = heard.gaps
    assert least_s - 0.01 <= (lost + 100) / 1000 <= most_s + 0.01
    assert heard.named == ["alarmed", "healthy"]


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
            assert 380 <= source.rate_hz <= 420
    finally:
        stop.set()
        thread.join()
    assert "using a rate of" in caplog.text


def test_a_broker_that_refuses_a_reconnection_says_why(broker: Broker) -> None:
    with open_mqtt(broker, want=Wanted(1000, 3, 0.08, give_up_s=2.0)) as source:
        heard = Heard(source)
        broker.kill()
        broker.set_password("changed")
        broker.start()
        heard.until(lambda heard: "recovering" in heard.named)
        with pytest.raises(SourceError, match=r"is given up: .* now refuses the connection: not authorized"):
            heard.listen(20)


def test_two_clients_of_the_same_name_are_reported(broker: Broker) -> None:
    want = Wanted(1000, 3, 0.08, give_up_s=3.0)
    options = "rate=1000&channels=3&client=ear"
    with (
        open_mqtt(broker, options, want) as source,
        open_mqtt(broker, options, want),
        pytest.raises(
            SourceError,
            match=r"closes each connection at once; if another program uses the client name ear,",
        ),
    ):
        Heard(source).listen(20)
