"""What pyproject.toml promises; `scripts/package` checks the sdist and the wheel themselves."""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch
from typing import Any

import edge_res
from tests.edgeres import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

PYPROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
HEAVY = {"torch", "scikit-learn", "matplotlib", "onnx", "onnxruntime", "tflite-runtime"}


def names_of(requirements: list[str]) -> set[str]:
    """`numpy>=1.26` requires `numpy`."""
    return {re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in requirements}


def test_the_first_release_of_the_changelog_is_this_version() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text, re.MULTILINE)
    assert released[0] == edge_res.__version__
    assert released == sorted(set(released), key=lambda version: [int(part) for part in version.split(".")])[::-1]


def test_a_device_install_is_small_and_only_train_requires_torch() -> None:
    assert not names_of(PROJECT["dependencies"]) & HEAVY
    assert {extra for extra, required in EXTRAS.items() if "torch" in names_of(required)} == {"train"}


def test_pythons_are_named_without_a_hole_from_the_oldest_on_that_the_tools_check_for() -> None:
    named = [re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", text) for text in PROJECT["classifiers"]]
    minors = [int(found[1]) for found in named if found]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == f"3.{minors[0]}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py3{minors[0]}"


def test_all_data_is_packaged() -> None:
    folders = {"edge_res": "edge_res", "edge_res.export": "export", "edge_res.devices": "devices"}
    data: dict[str, list[str]] = PYPROJECT["tool"]["setuptools"]["package-data"]
    packaged = {f"{folders[package]}/{pattern}" for package, patterns in data.items() for pattern in patterns}
    packaged |= set(PROJECT["license-files"])
    for folder in folders.values():
        paths = [path for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
        names = {path.relative_to(REPOSITORY).as_posix() for path in paths if path.suffix not in (".py", ".pyc")}
        names -= {name for name in names if name.startswith(("edge_res/export/", "edge_res/devices/"))}  # of an sdist
        assert names
        assert not {name for name in names if not any(fnmatch(name, pattern) for pattern in packaged)}
