"""The system: its architecture, Python, memory and disks."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edge_res.doctor.finding import Finding
from edge_res.doctor.pythons import NEW_PYTHON, NEWEST, OLDEST, too_old

OLDEST_GLIBC = (2, 27)  # required by the arm64 wheels of LiteRT and numpy: scripts/device_sizes.py --glibc 2.27
MACHINES = ("x86_64", "aarch64")  # that LiteRT has wheels for
_NEEDED_BYTES = 150_000_000  # twice what `edgeres listen` uses
_SPARE_BYTES = 50_000_000


def check_system(root: Path) -> Iterator[Finding]:
    """Whether numpy and the engines have builds for this system."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):  # another libc
        libc = ""
    yield judge_system(64 if sys.maxsize > 1 << 32 else 32, platform.machine(), libc)


def judge_system(bits: int, machine: str, libc: str) -> Finding:
    """`bits` are this Python's, `machine` is the kernel's (uname -m), `libc` is like "glibc 2.36", or ""."""
    numbers = tuple(int(part) for part in libc.replace("glibc ", "").split(".")[:2] if part.isdecimal())
    if bits < 64 and machine in MACHINES:
        sentence = (
            f"The kernel is 64-bit ({machine}), but Python and the other programs are {bits}-bit, and numpy and the "
            "engines have no 32-bit builds; write a 64-bit system, such as Raspberry Pi OS (64-bit), to the card"
        )
    elif bits < 64:
        sentence = (
            f"This is a {bits}-bit system ({machine}), for which numpy and the engines have no builds; write a 64-bit "
            "one, such as Raspberry Pi OS (64-bit), to the card (a Pi 3, 4, 5 or Zero 2 W can run it)"
        )
    elif machine not in MACHINES:
        sentence = f"LiteRT has no builds for {machine}, only for {' and '.join(MACHINES)}; use another device"
    elif not libc:
        sentence = "The C library is not glibc, which the engines require; use Debian, Ubuntu or Raspberry Pi OS"
    elif numbers < OLDEST_GLIBC:
        sentence = f"{libc} is older than 2.27, which LiteRT and numpy require; use a newer system"
    else:
        return Finding("system", "ok", f"64-bit on {machine}, {libc}.")
    return Finding("system", "problem", f"{sentence}.")


def check_python(root: Path) -> Iterator[Finding]:
    """Whether the packages have builds for this Python."""
    yield judge_python(sys.version_info[:2], sys.executable)


def judge_python(version: tuple[int, ...], executable: str) -> Finding:
    """`version` is (major, minor)."""
    found = f"Python {version[0]}.{version[1]} ({executable})"
    if version < OLDEST:
        return Finding("python", "problem", too_old(found), NEW_PYTHON)
    if version > NEWEST:
        supported = ".".join(map(str, NEWEST))
        sentence = f"{found} is newer than {supported}, the newest supported; if a package is missing, use 3.12"
        return Finding("python", "warning", f"{sentence}.", NEW_PYTHON)
    return Finding("python", "ok", f"{found}.")


def check_memory(root: Path) -> Iterator[Finding]:
    """The memory that the kernel could give to a new program (proc(5), MemAvailable)."""
    sizes = {}
    for line in _text(root / "proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        if value.split()[1:] == ["kB"]:
            sizes[key] = 1024 * int(value.split()[0])
    free, total = sizes.get("MemAvailable"), sizes.get("MemTotal")
    if free is None or total is None:
        yield Finding("memory", "unknown", "This system does not report how much memory is free.")
        return
    sentence = f"{free / 1e6:.0f} of {total / 1e6:.0f} MB are free"
    if free >= _NEEDED_BYTES:
        yield Finding("memory", "ok", f"{sentence}.")
    else:
        yield Finding(
            "memory",
            "warning",
            f"Only {sentence}, and `edgeres listen` uses about 60 MB; stop the programs that use the most.",
            "ps -eo pid,rss,comm --sort=-rss | head",
        )


def check_disk(root: Path) -> Iterator[Finding]:
    """The folder for temporary files, which engines require, and the user's home, where settings are saved."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"edgeres" * 1000)
    except OSError as error:
        yield Finding(
            "disk", "problem", f"Temporary files cannot be written ({error.strerror}); make room in /tmp.", "df -h /tmp"
        )
    # Without a home folder os.path leaves "~"; pathlib would raise.
    home = Path(os.path.expanduser("~"))  # noqa: PTH111
    try:
        state = os.statvfs(home)
    except OSError:
        yield Finding("disk", "warning", f"This user has no home folder ({home}): nothing can be saved there.")
        return
    free = state.f_bavail * state.f_frsize
    if state.f_flag & os.ST_RDONLY:
        yield Finding(
            "disk",
            "warning",
            f"{home} is read-only, as when an SD card fails: nothing can be saved; check the kernel's log.",
            "dmesg | grep -iE 'remount|ext4|mmc'",
        )
    elif free < _SPARE_BYTES:
        sentence = f"Only {free / 1e6:.0f} MB are free in {home}: recordings and settings may fail; make room."
        yield Finding("disk", "warning", sentence, f"du -xh --max-depth=1 {home} | sort -h | tail")
    else:
        yield Finding("disk", "ok", f"{free / 1e9:.1f} GB are free in {home}.")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
