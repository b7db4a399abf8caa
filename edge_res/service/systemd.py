"""Notifications to systemd."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(message: str) -> None:
    """Notify systemd, if it asked for that: send a datagram to `NOTIFY_SOCKET` (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    with sock, suppress(OSError):  # if nobody reads it any more, the program carries on
        sock.sendto(message.encode(errors="backslashreplace"), "\0" + address[1:] if address[0] == "@" else address)
