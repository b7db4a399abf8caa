"""Whether this user may open the devices of this machine, and how to get permission."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_res.doctor.finding import Finding

SOUND = "snd/pcmC*D*c"  # the nodes that record
SENSORS = ("ttyUSB*", "ttyACM*", "iio:device*")
_USUAL = {"pcm": "audio", "tty": "dialout"}  # the usual group, by the beginning of a node's name


def check_group(root: Path) -> Iterator[Finding]:
    """Sound cards that record. Without permission a sound server may still open them for this user."""
    nodes = sorted((root / "dev").glob(SOUND))
    closed = [node for node in nodes if not may_open(node)]
    yield from judge_access("group", closed)
    if nodes and not closed:
        yield Finding("group", "ok", f"{user()} may record from {', '.join(node.name for node in nodes)}.")


def check_sensors(root: Path) -> Iterator[Finding]:
    """Serial ports and industrial I/O devices, which may be sensors."""
    nodes = sorted(node for kind in SENSORS for node in (root / "dev").glob(kind))
    closed = [node for node in nodes if not may_open(node)]
    yield from judge_access("sensors", closed)
    if nodes and not closed:
        yield Finding("sensors", "ok", f"{user()} may read {', '.join(node.name for node in nodes)}.")


def may_open(node: Path) -> bool:
    return os.access(node, os.R_OK | os.W_OK)


def judge_access(what: str, closed: Sequence[Path]) -> Iterator[Finding]:
    """One finding for each group that owns some of the devices that are `closed` to this user."""
    by_group: dict[tuple[str, bool], list[str]] = {}
    for node in closed:
        about = node.stat()
        opens = about.st_mode & 0o060 == 0o060 and about.st_gid != 0
        by_group.setdefault((_group_name(about.st_gid), opens), []).append(node.name)
    for (group, opens), names in by_group.items():
        sentence = f"{user()} may not open {', '.join(names)}"
        if not opens:
            sentence += f", nor may its group, {group}; give it a group that may"
            rule = f'KERNEL=="{names[0]}", GROUP="{_USUAL.get(names[0][:3], "plugdev")}", MODE="0660"'
            command = f"echo '{rule}' | sudo tee -a /etc/udev/rules.d/99-edgeres.rules && sudo udevadm trigger"
        elif user() in _members(group):
            sentence += f", owned by the group {group}; {user()} has joined it, but since logging in: log in again"
            command = "sudo reboot"
        else:
            sentence += f"; join the group {group} and log in again"
            command = f"sudo usermod -aG {group} {user()}"
        yield Finding(what, "warning", f"{sentence}.", command)


def user() -> str:
    """The name of the user that this process runs as; the number if it has no name, as in some containers."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _members(group: str) -> list[str]:
    """The users in a group, including those who will be from their next login on."""
    try:
        return grp.getgrnam(group).gr_mem
    except KeyError:
        return []
