"""A sensor behind an MQTT broker, by paho-mqtt."""

from __future__ import annotations

import logging
import os
import socket
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from edge_res.address import masked, read_address
from edge_res.broker import EXAMPLE, PASSWORD, import_paho, read_broker, reason_of
from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block, Health
from edge_res.sources import Wanted
from edge_res.sources.feed import BUFFER_S, Feed
from edge_res.sources.mqtt.messages import FORMATS, Messages
from edge_res.sources.sensor import (
    FIRST_S,
    GUESS_HZ,
    RAW,
    RateWatch,
    measure_rate,
    read_alarm,
    read_channels,
    read_rate,
    read_scale,
    read_unit,
    scaled,
    take_rate,
)

_NUMBERED = ("json", "frames")  # formats in which the sender can tell what is missing
_ANSWER_S = 5.0  # that a broker may take to let us in
_WAIT_S = 0.1
_SETTLE_S = 0.2
_PATIENCE_S = 2.0  # that what a broker had kept, and sends at once, may wait for room; less than it waits for us
_KEEP_ALIVE_S = 5
_MOST_BACKOFF_S = 2.0
_SHORT_S = 2.0  # a connection that ends sooner, and again, is ended by somebody


@dataclass(frozen=True)
class Options:
    """What an address may say."""

    format: str = "json"
    channels: int | None = None
    rate: str | None = None
    unit: str = RAW
    scale: float = 1.0
    qos: int | None = None
    client: str | None = None
    tls: bool = False
    ca: str | None = None
    alarm: float | None = None


class Mqtt:
    """`mqtt://[USER@]BROKER[:PORT]/TOPIC?rate=…`, or `mqtts:` with TLS: messages of samples.

    A broker that is gone is connected to again, with at most two seconds between two tries. What it kept meanwhile
    (QoS 1, a session of a fixed client id) comes then; what is missing is a gap: by the sender's numbers, else by the
    clock. What it kept from before our start is of no known age, and left out. Raises `SourceError` where it does not
    let us in at the start.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = BUFFER_S) -> None:
        read_broker(text)  # first: an address that is none may have its password anywhere
        address, mark, query = text.partition("?")
        _, options = read_address(f"{masked(address)}{mark}{query}", Options, EXAMPLE)
        self._broker = read_broker(text, options.tls)
        self.name = f"{text.partition(':')[0]}://{self._broker.host}:{self._broker.port}/{self._broker.topic}"
        self.unit = read_unit(options.unit)
        if options.format not in FORMATS:
            raise ConfigError(f"{self.name} says format={options.format}; known are {', '.join(FORMATS)}.")
        if options.ca is not None and not self._broker.tls:
            raise ConfigError(f"{self.name} has a ca= and no encryption; write mqtts:// or tls=yes, or leave ca= out.")
        if options.qos not in (None, 0, 1, 2):
            raise ConfigError(f"{self.name} says qos={options.qos}; it may be 0, 1 or 2.")
        self.channels = read_channels(self.name, options.channels, want, EXAMPLE)
        self._scale = read_scale(self.name, options.scale)
        declared_hz = read_rate(self.name, options.rate, want, EXAMPLE)
        read_alarm(self.name, options.alarm, 1)
        # Raw numbers carry none by which what a broker kept could be told from what is missing: it is to keep nothing.
        self._qos = options.qos if options.qos is not None else int(options.format in _NUMBERED)
        self._qos_given = options.qos is not None
        self._come: deque[bytes] = deque()
        self._let_in = self._subscribed = self._stale_told = False
        self._refused = ""
        self._in_s = 0.0  # when it let us in
        self._client_name = options.client or f"edgeres-{socket.gethostname()}-{zlib.crc32(os.fsencode(self.name)):08x}"
        self._client = self._connect(options)
        try:
            self.rate_hz = declared_hz or self._measure(options.format)
        except BaseException:
            self._leave()
            raise
        alarm_s = read_alarm(self.name, options.alarm, self.rate_hz)
        self._messages = Messages(self.name, options.format, self.channels, self.rate_hz, alarm_s)
        self._watch = RateWatch(self.name, self.rate_hz, alarm_s)
        self._feed = Feed(self.name, self.rate_hz, self.channels, want, alarm_s, buffer_s)

    def __enter__(self) -> Mqtt:
        self._feed.start(self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        self._feed.stop()
        self._leave()

    def __iter__(self) -> Iterator[Block | Health]:
        return iter(self._feed)

    # at the start

    def _connect(self, options: Options) -> Any:
        """A client that has subscribed; raises `SourceError`."""
        if self._qos:
            self._enter(options, clean=True).disconnect()  # what it kept for an earlier run is forgotten
        client = self._enter(options, clean=self._qos == 0)
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.subscribe(self._broker.topic, self._qos)
        self._wait(client, lambda: self._subscribed)
        return client

    def _enter(self, options: Options, clean: bool) -> Any:
        """A client that the broker has let in; raises `SourceError`."""
        mqtt = import_paho()
        broker = self._broker
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, self._client_name, clean_session=clean)
        client.on_connect = self._on_connect
        client.connect_timeout = _ANSWER_S
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        try:
            if broker.tls:
                client.tls_set(options.ca)
            client.connect(broker.host, broker.port, _KEEP_ALIVE_S)
        except (OSError, ValueError) as error:
            raise SourceError(
                f"The broker {broker.host}:{broker.port} cannot be reached: {reason_of(error)}; check that it runs, "
                "its name and its port."
            ) from None
        self._let_in = False
        self._wait(client, lambda: self._let_in)
        return client

    def _wait(self, client: Any, done: Callable[[], bool]) -> None:
        """For its answer; raises `SourceError` where that is no."""
        broker = self._broker
        until_s = monotonic() + _ANSWER_S
        while not (done() or self._refused):
            if client.loop(_WAIT_S) or monotonic() > until_s:
                tls = "" if broker.tls else ", or only encrypted, by mqtts://"
                self._refused = self._refused or f"it does not answer as an MQTT broker does{tls}"
        if self._refused:
            client.disconnect()
            raise SourceError(
                f"The broker {broker.host}:{broker.port} does not let us read {broker.topic}: {self._refused}; check "
                f"user, password ({PASSWORD}) and what the user may read."
            )

    def _measure(self, kind: str) -> int:
        return take_rate(self.name, measure_rate(self._arrivals(kind)), "check the sender and the topic")

    def _arrivals(self, kind: str) -> Iterator[tuple[float, int]]:
        """When samples come, and how many; ends when none has come for long."""
        messages = Messages(self.name, kind, self.channels, GUESS_HZ, FIRST_S)
        until_s = monotonic() + _SETTLE_S
        while monotonic() < until_s:
            self._client.loop(_SETTLE_S)
        self._come.clear()  # it waited while we were let in
        last_s = monotonic()
        while monotonic() - last_s < FIRST_S:
            self._client.loop(_WAIT_S)
            while self._come:
                for lost, samples in messages.push(self._come.popleft(), monotonic()):
                    last_s = monotonic()
                    yield last_s, lost + len(samples)

    def _leave(self) -> None:
        self._client.unsubscribe(self._broker.topic)  # else it would keep messages for us for ever
        self._client.disconnect()

    # in the feed's thread

    def _receive(self) -> None:
        backoff_s = _WAIT_S
        short = 0
        while not self._feed.stopping.is_set():
            if self._client.loop(_WAIT_S):  # an error: not connected any more
                short = short + 1 if self._let_in and monotonic() - self._in_s < _SHORT_S else 0
                self._messages.interrupted()
                self._feed.trouble(self._why_gone(short))
                self._feed.stopping.wait(backoff_s)
                backoff_s = min(_MOST_BACKOFF_S, 2 * backoff_s)
                self._refused, self._let_in = "", False
                try:
                    self._client.reconnect()
                except OSError:
                    continue
            while self._come:
                backoff_s = _WAIT_S
                for lost, samples in self._messages.push(self._come.popleft(), monotonic()):
                    self._feed.put(scaled(samples, self._scale), lost, _PATIENCE_S)
                    for sentence in self._watch.push(lost + len(samples)):
                        logging.getLogger("edge_res").warning("%s", sentence)
                if self._messages.unnumbered and self._qos and not self._qos_given:
                    self._qos = 0  # without numbers nobody could tell what it kept from what is missing
                    self._client.subscribe(self._broker.topic, 0)

    def _why_gone(self, short: int) -> str:
        broker = f"the broker {self._broker.host}:{self._broker.port}"
        if self._refused:
            return f"{broker} does not let us in any more: {self._refused}"
        if short > 2:
            return f"{broker} ends each connection at once: give another client= if somebody uses {self._client_name}"
        return f"{broker} is gone: connecting to it again"

    # called by the client's loop

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason).lower()
            return
        self._let_in, self._in_s = True, monotonic()
        if self._subscribed:  # again: the session may be gone with a broker that was restarted
            client.subscribe(self._broker.topic, self._qos)

    def _on_subscribe(self, client: Any, data: Any, number: int, reasons: list[Any], properties: Any) -> None:
        failed = [reason for reason in reasons if reason.is_failure]
        self._subscribed = self._subscribed or not failed
        if failed:
            self._refused = str(failed[0]).lower()

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        if not message.retain:
            self._come.append(message.payload)
        elif not self._stale_told:
            self._stale_told = True
            logging.getLogger("edge_res").warning(
                "%s: a retained message is left out, it is of no known age; publish samples without retain.", self.name
            )
