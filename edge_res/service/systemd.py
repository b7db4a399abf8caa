"""Notifications to systemd."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(message: str) -> None:
    """Tell systemd, where it started us and asked for it (sd_notify(3)): a datagram to `NOTIFY_SOCKET`."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    with sock, suppress(OSError):  # whoever started us may not read any more; the program's work goes on
        sock.sendto(message.encode(errors="backslashreplace"), "\0" + address[1:] if address[0] == "@" else address)
