"""An MQTT broker, by paho-mqtt: its address, and the client."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from edge_res.address import masked
from edge_res.errors import ConfigError, SourceError

EXAMPLE = "mqtt://broker/room/accelerometer?rate=1000&channels=3"


PASSWORD = "EDGERES_MQTT_PASSWORD"


_PORTS = {False: 1883, True: 8883}  # without TLS, and with it


@dataclass(frozen=True)
class Broker:
    """Where the messages come from."""

    host: str
    port: int
    topic: str
    user: str | None
    password: str | None
    tls: bool


def read_broker(text: str, tls: bool = False) -> Broker:
    """Of `mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC`; raises `ConfigError`, which shows no password."""
    scheme, _, target = text.partition("?")[0].partition(":")
    tls = tls or scheme == "mqtts"
    try:
        parts = urlsplit(target)
        host, port = parts.hostname, parts.port or _PORTS[tls]
    except ValueError:
        raise ConfigError(f"{masked(text)} has no port that can be; give it as in {EXAMPLE}.") from None
    topic = unquote(parts.path.removeprefix("/"))
    if not host or not target.startswith("//"):
        raise ConfigError(f"{masked(text)} names no broker; give it as in {EXAMPLE}.")
    if not topic:
        raise ConfigError(f"{masked(text)} names no topic; give it as in {EXAMPLE}.")
    if {"+", "#"} & set(topic):
        raise ConfigError(
            f"The topic {topic} means several senders, and a stream has one; listen to several sources, one a topic."
        )
    password = unquote(parts.password) if parts.password is not None else os.environ.get(PASSWORD)
    return Broker(host, port, topic, unquote(parts.username) if parts.username else None, password, tls)


def reason_of(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")


def import_paho() -> Any:
    try:
        import paho.mqtt.client
    except ModuleNotFoundError:
        raise SourceError(
            "MQTT needs the package paho-mqtt, which is not installed; install it with `pip install 'edge-res[mqtt]'`."
        ) from None
    return paho.mqtt.client
