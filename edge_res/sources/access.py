"""How to get at a device that we may not open."""

from __future__ import annotations

import grp
from pathlib import Path


def way_in(path: str) -> str:
    """What somebody who may not open a device can do, to end a sentence."""
    about = Path(path).stat()
    try:
        group = grp.getgrgid(about.st_gid).gr_name
    except KeyError:
        group = str(about.st_gid)
    if about.st_mode & 0o060 == 0o060 and about.st_gid != 0:
        return f"join its group with `sudo usermod -aG {group} $USER` and log in again"
    return f"its group {group} may not either; give it one that may with a udev rule"
