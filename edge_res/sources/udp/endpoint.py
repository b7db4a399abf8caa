"""A bound UDP socket."""

from __future__ import annotations

import errno
import os
import select
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from edge_res.devices.access import by_whom, udp_holders
from edge_res.errors import ConfigError, SourceError

EXAMPLE = "udp://:5005?rate=1000&channels=3"
_WAIT_S = 0.1  # for the first datagram
_BUFFER_BYTES = 4 << 20  # requested; the kernel grants at most net.core.rmem_max
_MOST = 256  # datagrams at once
_LONGEST = 65536  # bytes in a datagram


def read_endpoint(text: str, target: str) -> tuple[str, int]:
    """Host (empty for all addresses of this machine) and port of `//HOST:PORT`; raises `ConfigError`."""
    try:
        parts = urlsplit(target)
        if parts.netloc and parts.port and not parts.path and parts.username is None:
            return parts.hostname or "", parts.port
    except ValueError:
        pass
    raise ConfigError(f"{text} names no port to listen on; give one as in {EXAMPLE}, or udp://127.0.0.1:5005.")


def bind(host: str, port: int) -> socket.socket:
    """A socket that receives what is sent to this address, by IPv4, IPv6 or both; raises `SourceError`."""
    try:
        found = socket.getaddrinfo(host or "::", port, type=socket.SOCK_DGRAM)[0]
    except OSError:
        raise SourceError(
            f"There is no address {host}; give an address of this machine, or none as in udp://:{port}."
        ) from None
    try:
        return _bound(found[0], found[4], both=not host)
    except OSError as error:
        if host or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise SourceError(_refusal(host, port, error)) from None
    try:
        return _bound(socket.AF_INET, ("", port), both=False)  # a machine without IPv6
    except OSError as error:
        raise SourceError(_refusal(host, port, error)) from None


def receive(sock: socket.socket) -> list[tuple[bytes, str]]:
    """The datagrams that have arrived and their senders, after waiting for a moment."""
    if not select.select([sock], [], [], _WAIT_S)[0]:
        return []
    come: list[tuple[bytes, tuple[str, int]]] = []
    with suppress(BlockingIOError):
        while len(come) < _MOST:
            come.append(sock.recvfrom(_LONGEST))
    return [(data, _written(*sender[:2])) for data, sender in come]


def drain(sock: socket.socket) -> None:
    """Forget what has arrived and was not read."""
    with suppress(BlockingIOError):
        while True:
            sock.recv(_LONGEST)


def _bound(family: int, address: object, both: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        sock.bind(address)  # type: ignore[arg-type]
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _written(host: str, port: int) -> str:
    host = host.removeprefix("::ffff:")  # of an IPv4 sender to a socket for both
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"UDP port {port} is in use{by_whom(udp_holders(port))}; stop that, or use another port."
    if error.errno == errno.EACCES:
        return f"UDP port {port} cannot be used: permission denied; use 1024 or above."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; `ip address` lists them, and udp://:{port} means all."
    return f"UDP port {port} cannot be opened: {os.strerror(error.errno or 0)}."
