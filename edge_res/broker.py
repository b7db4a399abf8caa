"""An MQTT broker, with paho-mqtt: its address, and a connection to it.

The one module that imports paho, for sources, outputs and whatever else talks to a broker.
"""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from edge_res.address import masked
from edge_res.errors import ConfigError, SourceError

PASSWORD = "EDGERES_MQTT_PASSWORD"  # the environment variable that may hold it
_PORTS = {False: 1883, True: 8883}  # without TLS, and with it
_ANSWER_S = 5.0  # longest wait for an answer
_LOOP_S = 0.1
_KEEP_ALIVE_S = 5
_MOST_BACKOFF_S = 2.0
_SHORT_S = 2.0  # connections that end sooner, one after the other, are being closed by somebody


@dataclass(frozen=True)
class Broker:
    """A broker and a topic, and how to log in."""

    host: str
    port: int
    topic: str
    user: str | None
    password: str | None = field(repr=False)
    tls: bool
    ca: str | None  # file of the certificate authority; None: the system's

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read_broker(text: str, example: str, tls: bool = False, ca: str | None = None) -> Broker:
    """The broker of `mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC`, or of `mqtts:`, which is with TLS.

    Raises `ConfigError`, never with the password in it.
    """
    scheme, _, target = text.partition("?")[0].partition(":")
    tls = tls or scheme == "mqtts"
    try:
        parts = urlsplit(target)
        host, port = parts.hostname, parts.port or _PORTS[tls]
    except ValueError:
        raise ConfigError(f"{masked(text)} has an invalid port; give it as in {example}.") from None
    topic = unquote(parts.path.removeprefix("/"))
    if not host or not target.startswith("//"):
        raise ConfigError(f"{masked(text)} names no broker; give it as in {example}.")
    if not topic:
        raise ConfigError(f"{masked(text)} names no topic; give it as in {example}.")
    if ca is not None and not tls:
        raise ConfigError(f"{masked(text)} has ca= but no encryption; use mqtts:// or tls=yes, or leave ca= out.")
    password = unquote(parts.password) if parts.password is not None else os.environ.get(PASSWORD)
    user = unquote(parts.username) if parts.username else None
    return Broker(host, port, topic, user, password, tls, ca)


def client_name(purpose: str) -> str:
    """A client name for this machine and purpose that stays the same, so that a broker knows it again."""
    return f"edgeres-{socket.gethostname()}-{zlib.crc32(os.fsencode(purpose)):08x}"


class Connection:
    """A connection to a broker, without a thread: callbacks run while `loop` is called.

    Raises `SourceError` if the broker cannot be reached or refuses the connection. Without `clean`, the broker keeps
    messages for a client of this name while it is away. `client` is paho's.
    """

    def __init__(self, broker: Broker, name: str, clean: bool = True) -> None:
        paho = _import_paho()
        self.broker = broker
        self.name = name
        self._topics: dict[str, int] = {}  # and their QoS
        self._accepted = self._subscribed = False
        self._refused = ""  # why the broker refuses
        self._accepted_s = 0.0  # when the broker accepted the connection
        self._short = 0  # short connections in a row
        self._backoff_s = _LOOP_S
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, name, clean_session=clean)
        self.client.connect_timeout = _ANSWER_S
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        if broker.user is not None:
            self.client.username_pw_set(broker.user, broker.password)
        try:
            if broker.tls:
                self.client.tls_set(broker.ca)
            self.client.connect(broker.host, broker.port, _KEEP_ALIVE_S)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
            raise SourceError(
                f"The broker {broker} cannot be reached: {reason}; check its name and port, and that it runs."
            ) from None
        self._wait(lambda: self._accepted)
        if self._refused:
            self.close()
            raise SourceError(
                f"The broker {broker} refuses the connection: {self._refused}; check the user and the password "
                f"({PASSWORD})."
            )

    def subscribe(self, topic: str, qos: int) -> None:
        """Ask for a topic, now and after each reconnection."""
        self._topics[topic] = qos
        self.client.subscribe(topic, qos)

    def wait_until_subscribed(self) -> None:
        """Wait for the first answer to `subscribe`; raises `SourceError` if the broker refuses."""
        self._wait(lambda: self._subscribed)
        if self._refused:
            self.close()
            raise SourceError(
                f"The broker {self.broker} does not allow reading {', '.join(self._topics)}: {self._refused}; check "
                "what the user may read."
            )

    def loop(self) -> bool:
        """Send and receive for a moment; False: the connection is lost."""
        if not self.client.loop(_LOOP_S):
            return True
        self._short = self._short + 1 if self._accepted and monotonic() - self._accepted_s < _SHORT_S else 0
        return False

    def why_lost(self) -> str:
        """Why the connection is lost, to end a sentence."""
        if self._refused:
            return f"the broker {self.broker} now refuses the connection: {self._refused}"
        if self._short > 2:
            return (
                f"the broker {self.broker} closes each connection at once; if another program uses the client name "
                f"{self.name}, set another one with client="
            )
        return f"the connection to the broker {self.broker} is lost; reconnecting"

    def reconnect(self, stopping: Event) -> bool:
        """Try once to connect again, after a pause that doubles from try to try; whether the broker was reached."""
        stopping.wait(self._backoff_s)
        self._backoff_s = min(_MOST_BACKOFF_S, 2 * self._backoff_s)
        self._refused, self._accepted = "", False
        try:
            self.client.reconnect()
        except OSError:
            return False
        return True

    def works(self) -> None:
        """The connection serves its purpose: the next loss of it is followed by a quick try."""
        self._backoff_s = _LOOP_S

    def close(self) -> None:
        for topic in self._topics:
            self.client.unsubscribe(topic)  # else the broker keeps messages for this client for ever
        self.client.disconnect()

    def _wait(self, done: Callable[[], bool]) -> None:
        """Wait for that or a refusal; raises `SourceError` if no answer comes."""
        until_s = monotonic() + _ANSWER_S
        while not (done() or self._refused):
            if (self.client.loop(_LOOP_S) and not self._refused) or monotonic() > until_s:
                self.close()
                tls = "check its port" if self.broker.tls else "check its port, or use mqtts:// if it accepts only TLS"
                raise SourceError(f"The broker {self.broker} does not answer as an MQTT broker; {tls}.")

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason).lower()
            return
        self._accepted, self._accepted_s = True, monotonic()
        for topic, qos in self._topics.items():  # a broker that was restarted may have forgotten them
            client.subscribe(topic, qos)

    def _on_subscribe(self, client: Any, data: Any, number: int, reasons: list[Any], properties: Any) -> None:
        failed = [reason for reason in reasons if reason.is_failure]
        self._subscribed = self._subscribed or not failed
        if failed:
            self._refused = str(failed[0]).lower()


def _import_paho() -> Any:
    try:
        import paho.mqtt.client
    except ModuleNotFoundError:
        raise SourceError(
            "MQTT requires the package paho-mqtt, which is not installed; install it with "
            "`pip install 'edge-res[mqtt]'`."
        ) from None
    return paho.mqtt.client
