"""The operating system, of a Raspberry Pi and of a Jetson as well."""

from __future__ import annotations

import platform
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.files import text

# By the major release of L4T (https://developer.nvidia.com/embedded/jetpack-archive).
_JETPACKS = {"32": "4", "34": "5", "35": "5", "36": "6", "38": "7", "39": "7"}


@dataclass(frozen=True)
class System:
    """What os-release(5) says; Pi OS; on a Jetson the release of L4T (Jetson Linux), such as 36.4.3, and JetPack, 6."""

    name: str
    id: str
    version: str
    codename: str
    is_pi_os: bool
    l4t: str
    jetpack: str
    kernel: str
    machine: str
    bits: int  # of this Python

    def __str__(self) -> str:
        own = ", Raspberry Pi OS" if self.is_pi_os else ""
        tegra = f", JetPack {self.jetpack or '?'} (L4T {self.l4t})" if self.l4t else ""
        return f"{self.name or 'Linux'}{own}{tegra}, kernel {self.kernel}"


def read_system(root: Path = Path("/")) -> System:
    release, l4t = _release(root), _l4t(root)
    return System(
        name=release.get("PRETTY_NAME", ""),
        id=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        # The 64-bit Pi OS calls itself Debian; pi-gen, which makes its images, leaves this file (stage 2).
        is_pi_os=release.get("ID") == "raspbian" or (root / "etc/rpi-issue").is_file(),
        l4t=l4t,
        jetpack=_JETPACKS.get(l4t.partition(".")[0], ""),
        kernel=text(root / "proc/sys/kernel/osrelease") or platform.release(),
        machine=platform.machine(),
        bits=64 if sys.maxsize > 1 << 32 else 32,
    )


def _release(root: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in (text(root / "etc/os-release")).splitlines())
    found = {}
    for name, equals, value in pairs:
        if equals and not name.startswith("#"):
            try:
                found[name] = "".join(shlex.split(value))
            except ValueError:  # an odd quote
                found[name] = value
    return found


def _l4t(root: Path) -> str:
    """`# R36 (release), REVISION: 4.3, GCID: 38968081, …` is 36.4.3."""
    found = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text(root / "etc/nv_tegra_release"))
    return f"{found[1]}.{found[2]}" if found else ""
