"""All checks together: one that fails does not hide another."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_res.doctor.examine import CHECKS, NEEDS, examine
from edge_res.doctor.finding import Finding
from edge_res.doctor.packages import check_engine, check_numpy, check_packages
from edge_res.doctor.system import check_python
from tests.doctor.broken import find_first, install
from tests.edgeres import REPOSITORY

PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))


def check_lamp(root: Path) -> Iterator[Finding]:
    yield Finding("lamp", "ok", "It is lit.")
    raise ValueError("broken glass")


def check_oil(root: Path) -> Iterator[Finding]:
    import no_such_wick  # type: ignore[import-not-found]

    yield no_such_wick.finding


def test_a_check_that_fails_is_reported_and_the_others_run(tmp_path: Path) -> None:
    lamp, failed, oil, python = examine(tmp_path, (check_lamp, check_oil, check_python))
    assert (lamp.what, python.what) == ("lamp", "python")
    assert failed == Finding(
        "lamp", "unknown", "The check lamp itself failed (ValueError: broken glass); please report this."
    )
    assert oil == Finding("oil", "unknown", "The check oil requires the package no_such_wick.")


def test_a_check_that_needs_something_broken_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "numpy", "raise ImportError('gone')")
    find_first(tmp_path, monkeypatch)
    numpy, engine = examine(tmp_path, (check_numpy, check_engine))
    assert (numpy.what, numpy.severity) == ("numpy", "problem")
    assert engine == Finding("engine", "unknown", "Not checked until the problem with numpy is fixed.")


def test_a_skipped_check_skips_those_that_need_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_res.doctor.system.OLDEST", (9, 9))
    python, packages, numpy = examine(tmp_path, (check_python, check_packages, check_numpy))
    assert [found.severity for found in (python, packages, numpy)] == ["problem", "unknown", "unknown"]
    assert numpy.sentence == "Not checked until the problem with packages is fixed."


def test_what_a_check_needs_comes_before_it() -> None:
    names = [check.__name__.removeprefix("check_") for check in CHECKS]
    for check, needs in NEEDS.items():
        place = CHECKS.index(check)
        assert set(needs) <= set(names[:place]), check.__name__


@pytest.mark.parametrize("path", sorted((REPOSITORY / "edge_res/doctor").glob("*.py")), ids=lambda path: str(path.name))
def test_it_is_written_for_old_pythons(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("name", ["__init__.py", "pythons.py"])
def test_what_reports_a_still_older_python_is_written_for_it(name: str) -> None:
    text = (REPOSITORY / "edge_res/doctor" / name).read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 7))
    assert "__future__" not in text  # annotations from __future__ need Python 3.7


def bare(version: str) -> str:
    """What the doctor prints on a Python from pyenv with nothing installed."""
    found = [path for path in PYTHONS if path.parts[-3].startswith(f"{version}.")]
    if not found:
        pytest.skip(f"needs Python {version}, by pyenv")
    command = [str(found[0]), "-S", "-m", "edge_res.doctor"]  # ignore what is installed
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout


@pytest.mark.may_skip_in_ci("a machine need not have a Python that is too old")
@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.9"])
def test_an_old_python_with_nothing_installed_is_reported_as_too_old(version: str) -> None:
    printed = bare(version)
    assert re.search(
        rf"^problem  python: Python {version} \(.*\) is too old; edge-res requires 3.10 to 3.14: ",
        printed,
        re.MULTILINE,
    )
    assert "uv venv" in printed
    if version not in ("3.6", "3.7"):
        assert "unknown  packages: Not checked until the problem with python is fixed." in printed
        assert "requires the package" not in printed


@pytest.mark.may_skip_in_ci("a machine need not have all Pythons")
@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_a_clone_with_nothing_installed(version: str) -> None:
    """Boards are checked even without a TOML reader and numpy."""
    printed = bare(version)
    assert "problem  packages: Not installed: numpy, soxr, soundfile, sounddevice, rich, typer." in printed
    assert f"python3 -m venv .venv && .venv/bin/pip install {REPOSITORY}" in printed
    assert "requires the package" not in printed
    assert "itself failed" not in printed


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, edge_res.doctor, edge_res.commands.doctor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert not {"numpy", "sounddevice", "onnxruntime", "ai_edge_litert"} & set(done.stdout.split())


def test_a_full_disk_behind_stdout_is_one_sentence() -> None:
    command = f"exec {sys.executable} -m edge_res.doctor >/dev/full"
    done = subprocess.run(["sh", "-c", command], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 10
    assert done.stderr == "doctor: stdout cannot be written: No space left on device; make room, or write elsewhere.\n"
