"""This package as an archive, so that another machine runs the same version, however it was installed here."""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import zipfile
from pathlib import Path

_LEFT_OUT = {"export", "__pycache__"}  # needed only on a host


def pack() -> bytes:
    """A zip archive of the runtime, including `edge_res/devices`, which is outside `edge_res` in a clone."""
    top = Path(__file__).parents[1]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, folder in (("edge_res", top), ("edge_res/devices", _folder_of("edge_res.devices"))):
            for base, folders, names in os.walk(folder):
                folders[:] = [
                    name for name in folders if name not in _LEFT_OUT and not (Path(base) / name).is_symlink()
                ]
                for name in names:
                    inside = Path(part) / Path(base, name).relative_to(folder)
                    if str(inside) not in archive.NameToInfo:  # from a wheel, devices are packed already
                        archive.write(Path(base) / name, inside)
    return packed.getvalue()


def _folder_of(package: str) -> Path:
    return Path(str(importlib.import_module(package).__file__)).parent


def requirements() -> list[str]:
    """The requirements of an installation without extras, as arguments for `pip install`."""
    found = importlib.metadata.requires("edge-res") or []
    return [text for text in found if not re.search(r"\bextra *==", text)]
