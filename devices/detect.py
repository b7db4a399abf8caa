"""Which device this machine is, from what it says of itself."""

from __future__ import annotations

import platform
from pathlib import Path

from edge_res.devices.files import DeviceFile, devices_of_family, is_own, known_devices, load_device, usable
from edge_res.devices.machine import Board, read_board


def detect(root: Path = Path("/"), machine: str = "") -> DeviceFile:
    """The device that the machine with the file system `root` is: a member, else a family, else a generic one.

    `machine` is its architecture, by default that of this one.
    """
    board = read_board(root)
    if board != Board():  # else it can be none of those that are recognised by a text
        recognised = [device for device in usable(known_devices()) if _says(board, device)]
        if recognised:
            return max(recognised, key=_precedence)
    return _device_of_family("generic", board, machine) or load_device("generic")


def find_device(name: str, root: Path = Path("/"), machine: str = "") -> tuple[DeviceFile, str | None]:
    """The device of a name or in a file; of a family, the member that this machine is.

    Returns the device and, where this machine is another, or a member was found, the sentence that says so.
    """
    device = load_device(name)
    if Path(name).suffix == ".toml":
        return device, describe_mismatch(device, root)
    found = _device_of_family(name, read_board(root), machine)
    if found is not None:
        plain = not found.recognised_by
        return found, None if plain else f"this is {found.title}: device {found.name}"
    return device, describe_mismatch(device, root) or _no_device_of_family(device, root)


def describe_mismatch(device: DeviceFile, root: Path = Path("/")) -> str | None:
    """One sentence where the machine with the file system `root` is not that device, else None."""
    board = read_board(root)
    if not device.recognised_by or _says(board, device):
        return None
    if board.model:
        found = f"its device tree says {board.model!r}"
    elif board.name:
        found = f"it is {board.name!r} ({platform.machine()})"
    else:
        found = f"it has no device tree ({platform.machine()})"
    return (
        f"This machine is not recognised as {device.title}, {found}; "
        f"it runs with the settings of {device.name} all the same, on the engines that are installed here."
    )


def _no_device_of_family(family: DeviceFile, root: Path) -> str | None:
    """Of a family that has members, and this machine is none of them."""
    board = read_board(root)
    if not family.recognised_by or not devices_of_family(family.name):
        return None
    return f"no device file is of {board.name!r}; it runs with the plain settings of {family.name}"


def _device_of_family(family: str, board: Board, machine: str) -> DeviceFile | None:
    """The member of a family that a machine is."""
    members = usable(devices_of_family(family))
    recognised = [device for device in members if _says(board, device)]
    architecture = machine or platform.machine()
    plain = [device for device in members if not device.recognised_by and architecture in device.architectures]
    return max(recognised or plain, key=_precedence, default=None)


def _precedence(device: DeviceFile) -> tuple[bool, int]:
    """One's own file before those that come along; and a member's name is longer than its family's."""
    return is_own(device.name), len(device.name)


def _says(board: Board, device: DeviceFile) -> bool:
    texts = (board.model, *board.compatible, board.name)
    return any(mark in text for mark in device.recognised_by for text in texts)
