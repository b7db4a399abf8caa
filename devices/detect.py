"""What this machine is, from what it says of itself.

The device tree's root node has a `model`, one text, and a `compatible`, texts from the most particular to the most
general (Devicetree Specification 0.4, 2.3). Linux shows them under `/proc/device-tree`, each text ended by a zero byte.
"""

from __future__ import annotations

import platform
from pathlib import Path

from edge_res.devices.profiles import DeviceProfile


def describe_mismatch(profile: DeviceProfile, root: Path = Path("/")) -> str | None:
    """One sentence where the machine with the file system `root` is not that device, else None."""
    texts = [text for name in ("model", "compatible") for text in _device_tree(root, name)]
    if not profile.recognised_by or any(mark in text for mark in profile.recognised_by for text in texts):
        return None
    found = f"its device tree says {texts[0]!r}" if texts else f"it has no device tree ({platform.machine()})"
    return (
        f"This machine is not recognised as {profile.title}, {found}; "
        f"it runs with the settings of {profile.name} all the same ({profile.engine}, threads: {profile.threads})."
    )


def _device_tree(root: Path, name: str) -> list[str]:
    """The texts in a property of the device tree's root node; none where there is no device tree."""
    try:
        raw = (root / "proc" / "device-tree" / name).read_bytes()
    except OSError:
        return []
    return [text for text in raw.decode("utf-8", "replace").split("\0") if text.strip()]
