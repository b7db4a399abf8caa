"""Who may open a device or a port, and which processes have it open."""

from __future__ import annotations

import grp
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def way_in(path: str) -> str:
    """How to get permission to open a device, to end a sentence."""
    about = Path(path).stat()
    try:
        group = grp.getgrgid(about.st_gid).gr_name
    except KeyError:
        group = str(about.st_gid)
    if about.st_mode & 0o060 == 0o060 and about.st_gid != 0:
        return f"join its group with `sudo usermod -aG {group} $USER` and log in again"
    return f"its group {group} has no access either; give it to a group that you are in with a udev rule"


def device_holders(path: str, proc: Path = PROC) -> list[str]:
    """`NAME (process PID)` of each other process that has the device `path` open; processes of other users are not
    visible without root."""
    return sorted(set(_holders({os.path.realpath(path)}, proc)))


def udp_holders(port: int, proc: Path = PROC) -> list[str]:
    """`NAME (process PID)` of each other process with a socket bound to the UDP port."""
    links = {f"socket:[{inode}]" for table in ("udp", "udp6") for inode in _sockets(proc / "net" / table, port)}
    return sorted(set(_holders(links, proc)))


def by_whom(holders: list[str]) -> str:
    """` by A and B`, to follow "in use"; empty without holders."""
    return f" by {' and '.join(holders)}" if holders else ""


def _holders(links: set[str], proc: Path) -> Iterator[str]:
    for process in proc.iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        with suppress(OSError):  # it has ended, or belongs to another user
            if any(_link(fd) in links for fd in (process / "fd").iterdir()):
                yield f"{(process / 'comm').read_text().strip()} (process {process.name})"


def _link(path: Path) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 (a Path would tidy `socket:[1]` and cost more)
    except OSError:
        return ""


def _sockets(table: Path, port: int) -> Iterator[str]:
    """Inodes of the sockets in /proc/net/udp (proc(5)) with that local port."""
    with suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
