"""The system, by its facts and by real files."""

from __future__ import annotations

import re
import resource
import sys
import tempfile
from pathlib import Path

import pytest

from edge_res.doctor.pythons import NEWEST, OLDEST
from edge_res.doctor.system import check_disk, check_memory, check_system, judge_python, judge_system
from tests.edgeres import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

# A Raspberry Pi Zero 2 W
MEMINFO = """MemTotal:         437480 kB
MemFree:           62412 kB
MemAvailable:     {} kB
HugePages_Total:       0
"""


@pytest.mark.parametrize(
    ("bits", "machine", "libc", "begins"),
    [
        (32, "aarch64", "glibc 2.36", "The kernel is 64-bit (aarch64), but Python and the other programs are 32-bit"),
        (32, "armv7l", "glibc 2.36", "This is a 32-bit system (armv7l)"),
        (64, "riscv64", "glibc 2.39", "LiteRT has no builds for riscv64"),
        (64, "aarch64", "", "The C library is not glibc"),
        (64, "aarch64", "glibc 2.26", "glibc 2.26 is older than 2.27"),
    ],
)
def test_a_system_without_builds(bits: int, machine: str, libc: str, begins: str) -> None:
    found = judge_system(bits, machine, libc)
    assert (found.what, found.severity) == ("system", "problem")
    assert found.sentence.startswith(begins)


@pytest.mark.parametrize(("machine", "libc"), [("aarch64", "glibc 2.27"), ("x86_64", "glibc 2.41")])
def test_a_system_with_builds(machine: str, libc: str) -> None:
    assert judge_system(64, machine, libc).severity == "ok"


def test_this_system_can_run_what_was_installed_on_it(tmp_path: Path) -> None:
    assert [found.severity for found in check_system(tmp_path)] == ["ok"]


def test_pythons() -> None:
    old, new = judge_python((3, 8), "/usr/bin/python3"), judge_python((3, 15), "/usr/bin/python3")
    assert (old.severity, new.severity) == ("problem", "warning")
    assert "uv venv" in old.command
    assert "Python 3.8 (/usr/bin/python3) is too old" in old.sentence


def test_the_pythons_are_those_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [re.search(r"Python :: (\d)\.(\d+)$", text) for text in project["classifiers"]]
    versions = sorted((int(found[1]), int(found[2])) for found in named if found)
    assert (versions[0], versions[-1]) == (OLDEST, NEWEST)
    assert project["requires-python"] == f">={OLDEST[0]}.{OLDEST[1]}"
    assert {judge_python(version, "").severity for version in versions} == {"ok"}


@pytest.mark.parametrize(("free", "severity"), [(289380, "ok"), (81200, "warning")])
def test_memory(free: int, severity: str, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(MEMINFO.format(free))
    (found,) = check_memory(tmp_path)
    assert found.severity == severity
    assert f"{free * 1024 / 1e6:.0f} of 448 MB are free" in found.sentence


def test_memory_that_is_not_reported(tmp_path: Path) -> None:
    assert [found.severity for found in check_memory(tmp_path)] == ["unknown"]


def test_no_room_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.setenv("HOME", str(tmp_path))
    problem, home = check_disk(tmp_path)
    assert (problem.severity, home.severity) == ("problem", "ok")
    assert "Temporary files cannot be written (No such file or directory)" in problem.sentence


def test_temporary_files_that_cannot_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: a file can be created, but nothing written to it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        problem = next(check_disk(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (problem.severity, problem.command) == ("problem", "df -h /tmp")


def test_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    (found,) = check_disk(tmp_path)
    assert found.severity == "warning"
    assert f"no home folder ({tmp_path / 'gone'})" in found.sentence
