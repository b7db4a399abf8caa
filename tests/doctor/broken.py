"""Packages that are installed and broken: real ones, in a folder that a Python finds before all others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def install(folder: Path, module: str, source: str, distribution: str = "", version: str = "1.0") -> None:
    """A package of one module, and what pip leaves to tell of it."""
    (folder / module).mkdir(parents=True, exist_ok=True)
    (folder / module / "__init__.py").write_text(source)
    if distribution:
        told = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")


def find_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this Python and those that it starts look there first."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", "")))))
