"""What this machine is, as a profile keeps it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from edge_res.devices.board import read_board
from edge_res.devices.cores import read_memory_bytes
from edge_res.devices.detect import detect


def machine_name(root: Path = Path("/")) -> str:
    """Board or processor, architecture and cores: by this saved settings are found again."""
    cores = os.cpu_count() or 1
    return f"{board(root) or processor(root)}, {platform.machine()}, {cores} core{'s' * (cores > 1)}"


def describe_machine(root: Path = Path("/")) -> dict[str, Any]:
    """All that a profile keeps of it; `file` is the device file that it is recognised by, at worst a generic one."""
    from edge_res.profiling.observe import limits  # `listen` asks for the name only, and need not load all that

    return {
        "name": machine_name(root),
        "file": detect(root).name,
        "board": board(root),
        "processor": processor(root),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": read_memory_bytes(root),
        "limits": limits(root),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def board(root: Path) -> str:
    """The device tree's model; empty where there is none."""
    return read_board(root).model


def processor(root: Path) -> str:
    """As /proc/cpuinfo names it, which on ARM it often does not: then the architecture."""
    try:
        lines = (root / "proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return next((name for name in names if name), platform.machine())
