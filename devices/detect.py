"""Which device this machine is: its board's names held against the device files."""

from __future__ import annotations

import platform
from pathlib import Path

from edge_res.devices.files import DeviceFile, devices_of_family, is_own, known_devices, load_device, usable
from edge_res.devices.machine import Board, read_board


def detect(root: Path = Path("/"), machine: str = "") -> DeviceFile:
    """The device file for the machine with the file system `root`: of its board, else its family, else a generic one.

    `machine` is the architecture, by default that of this machine.
    """
    board = read_board(root)
    if board != Board():  # a board without names matches no file that asks for one
        recognised = [device for device in usable(known_devices()) if _matches(board, device)]
        if recognised:
            return max(recognised, key=_precedence)
    return _device_of_family("generic", board, machine) or load_device("generic")


def find_device(name: str, root: Path = Path("/"), machine: str = "") -> tuple[DeviceFile, str | None]:
    """The device file with that name or path; for a family, the file of the device in it that this machine is.

    Also returns a sentence if this machine is not that device, or if a device of the family was found.
    """
    device = load_device(name)
    if Path(name).suffix == ".toml":
        return device, describe_mismatch(device, root)
    found = _device_of_family(name, read_board(root), machine)
    if found is not None:
        plain = not found.recognised_by
        return found, None if plain else f"this is {found.title}: device {found.name}"
    return device, describe_mismatch(device, root) or _describe_unlisted(device, root)


def describe_mismatch(device: DeviceFile, root: Path = Path("/")) -> str | None:
    """One sentence if the machine with the file system `root` is not that device, else None."""
    board = read_board(root)
    if not device.recognised_by or _matches(board, device):
        return None
    if board.model:
        found = f"its device tree says {board.model!r}"
    elif board.name:
        found = f"it is {board.name!r} ({platform.machine()})"
    else:
        found = f"it has no device tree ({platform.machine()})"
    return (
        f"This machine is not recognised as {device.title}: {found}; "
        f"using the {device.name} settings anyway, with the engines installed here."
    )


def _describe_unlisted(family: DeviceFile, root: Path) -> str | None:
    """A sentence if the family has devices and this machine, although of the family, is none of them."""
    board = read_board(root)
    if not family.recognised_by or not devices_of_family(family.name):
        return None
    return f"no device file describes {board.name!r}; using the general {family.name} settings"


def _device_of_family(family: str, board: Board, machine: str) -> DeviceFile | None:
    devices = usable(devices_of_family(family))
    recognised = [device for device in devices if _matches(board, device)]
    architecture = machine or platform.machine()
    plain = [device for device in devices if not device.recognised_by and architecture in device.architectures]
    return max(recognised or plain, key=_precedence, default=None)


def _precedence(device: DeviceFile) -> tuple[bool, int]:
    """The user's own files before the bundled ones; a device before its family, whose name is shorter."""
    return is_own(device.name), len(device.name)


def _matches(board: Board, device: DeviceFile) -> bool:
    texts = (board.model, *board.compatible, board.name)
    return any(mark in text for mark in device.recognised_by for text in texts)
