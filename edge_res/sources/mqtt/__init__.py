"""A sensor behind an MQTT broker."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import Any

from edge_res.address import masked, read_address
from edge_res.broker import Broker, Connection, client_name, read_broker
from edge_res.errors import ConfigError
from edge_res.sources import Wanted
from edge_res.sources.feed import BUFFER_S
from edge_res.sources.mqtt.messages import FORMATS, Messages
from edge_res.sources.sensor import (
    FIRST_S,
    GUESS_HZ,
    Declared,
    Pieces,
    Sensor,
    SensorOptions,
    read_declared,
    settle_rate,
)

EXAMPLE = "mqtt://broker/room/accelerometer?rate=1000&channels=3"
_NUMBERED = ("json", "frames")  # formats in which the sender can number its samples
_SETTLE_S = 0.2
_PATIENCE_S = 2.0  # longest wait for room when the broker sends at once what it kept; less than it waits for us


@dataclass(frozen=True)
class Options(SensorOptions):
    """The options of an address."""

    format: str = "json"
    qos: int | None = None
    client: str | None = None
    tls: bool = False
    ca: str | None = None


class Mqtt(Sensor):
    """`mqtt://[USER@]BROKER[:PORT]/TOPIC?rate=…`, or `mqtts:` with TLS: messages of samples.

    A lost connection is made again, with at most two seconds between tries. Messages that the broker kept meanwhile
    (QoS 1, a persistent session) arrive then; what is missing is a gap, by the sender's numbers or else by the clock.
    Messages that it kept from before the start are of unknown age and are left out. Raises `SourceError` if the
    broker refuses at the start.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = BUFFER_S) -> None:
        read_broker(text, EXAMPLE)  # first: in an address that is not one, the password may be anywhere
        address, mark, query = text.partition("?")
        _, options = read_address(f"{masked(address)}{mark}{query}", Options, EXAMPLE)
        broker = read_broker(text, EXAMPLE, options.tls, options.ca)
        self.name = name = f"{text.partition(':')[0]}://{broker}/{broker.topic}"
        if {"+", "#"} & set(broker.topic):
            raise ConfigError(
                f"The topic {broker.topic} matches several senders, but a stream has one; list each topic as a "
                "separate source."
            )
        if options.format not in FORMATS:
            raise ConfigError(f"{name} says format={options.format}; expected {', '.join(FORMATS)}.")
        if options.qos not in (None, 0, 1, 2):
            raise ConfigError(f"{name} says qos={options.qos}; expected 0, 1 or 2.")
        declared = read_declared(name, options, want, EXAMPLE)
        # Without numbers, kept messages cannot be told from missing ones: the broker is to keep none.
        self._qos = options.qos if options.qos is not None else int(options.format in _NUMBERED)
        self._qos_given = options.qos is not None
        self._come: deque[bytes] = deque()
        self._retained = False  # whether a retained message was reported
        self._topic = broker.topic
        self._connection = self._connect(broker, options.client or client_name(name))
        try:
            rate_hz = declared.rate_hz or self._measure(declared, options.format)
        except BaseException:
            self._close()
            raise
        super().__init__(declared, rate_hz, want, buffer_s)
        self._messages = Messages(name, options.format, self.channels, rate_hz, self.alarm_s)

    def _connect(self, broker: Broker, client: str) -> Connection:
        if self._qos:
            Connection(broker, client, clean=True).close()  # drops what the broker kept for an earlier run
        connection = Connection(broker, client, clean=self._qos == 0)
        connection.client.on_message = self._on_message
        connection.subscribe(broker.topic, self._qos)
        connection.wait_until_subscribed()
        return connection

    def _measure(self, declared: Declared, format_name: str) -> int:
        messages = Messages(declared.name, format_name, declared.channels, GUESS_HZ, FIRST_S)

        def receive() -> Pieces:
            self._connection.loop()
            while self._come:
                yield from messages.push(self._come.popleft(), monotonic())

        until_s = monotonic() + _SETTLE_S
        while monotonic() < until_s:
            self._connection.loop()
        self._come.clear()  # it had waited while we connected
        return settle_rate(declared.name, receive, "check the sender and the topic")

    def _receive(self) -> None:
        while not self._feed.stopping.is_set():
            if not self._connection.loop():
                self._messages.interrupted()
                self._feed.trouble(self._connection.why_lost())
                if not self._connection.reconnect(self._feed.stopping):
                    continue
            while self._come:
                self._connection.works()
                self._put(self._messages.push(self._come.popleft(), monotonic()), _PATIENCE_S)
                if self._messages.unnumbered and self._qos and not self._qos_given:
                    self._qos = 0
                    self._connection.subscribe(self._topic, self._qos)

    def _close(self) -> None:
        self._connection.close()

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        if not message.retain:
            self._come.append(message.payload)
        elif not self._retained:
            self._retained = True
            logging.getLogger("edge_res").warning(
                "%s: a retained message is left out, since its age is unknown; publish samples without retain.",
                self.name,
            )
