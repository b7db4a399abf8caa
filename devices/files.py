"""Small files of /proc and /sys: what cannot be read is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def text(path: Path) -> str:
    """The file's text without the white space and zero bytes around it; empty where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\n")
    except OSError:  # also from reading: a sensor that sleeps answers "Resource temporarily unavailable"
        return ""


def number(path: Path, scale: float = 1.0) -> float | None:
    """The number in the file times `scale`, None where there is none."""
    try:
        return float(text(path)) * scale
    except ValueError:
        return None


def hwmons(root: Path, *names: str) -> Iterator[Path]:
    """The folders of the kernel's hardware monitors of these names (Documentation/hwmon/sysfs-interface.rst)."""
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if text(folder / "name") in names:
            yield folder
