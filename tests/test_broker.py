"""The connection to a broker that sources and outputs share."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest

from edge_res.broker import Connection, client_name, read_broker
from edge_res.errors import SourceError
from tests.broker import PASSWORD, TOPIC, Broker, broker

__all__ = ["broker"]  # the fixture


def test_a_password_does_not_show_in_tracebacks_and_logs() -> None:
    found = read_broker("mqtt://ear:sesame@host/a%2Fb", "mqtt://…")
    assert (found.host, found.port, found.topic, found.user, found.password) == ("host", 1883, "a/b", "ear", "sesame")
    assert "sesame" not in f"{found!r} {found}"
    assert read_broker("mqtts://host/a", "mqtt://…").port == 8883


def test_a_client_name_is_the_same_at_each_start() -> None:
    assert client_name("mqtt://host/a") == client_name("mqtt://host/a") != client_name("mqtt://host/b")


def test_it_publishes_as_well_as_it_reads(broker: Broker) -> None:
    address = read_broker(broker.address(TOPIC, ""), "mqtt://…")
    reader, writer = (Connection(address, name) for name in ("reader", "writer"))
    came: list[bytes] = []

    def keep(client: Any, data: Any, message: Any) -> None:
        came.append(message.payload)

    reader.client.on_message = keep
    reader.subscribe(TOPIC, 1)
    reader.wait_until_subscribed()
    for number in range(3):
        writer.client.publish(TOPIC, b"%d" % number, qos=1)
    until_s = monotonic() + 10
    while len(came) < 3 and monotonic() < until_s:
        assert writer.loop()
        assert reader.loop()
    writer.close()
    reader.close()
    assert came == [b"0", b"1", b"2"]


def test_a_wrong_password_is_a_refusal(broker: Broker) -> None:
    address = read_broker(broker.address(TOPIC, "").replace(PASSWORD.replace("/", "%2F"), "wrong"), "mqtt://…")
    with pytest.raises(SourceError, match="refuses the connection: not authorized"):
        Connection(address, "ear")
