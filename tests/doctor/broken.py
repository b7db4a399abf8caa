"""Broken packages, really installed, in a folder where Python looks first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def install(folder: Path, module: str, source: str, distribution: str = "", version: str = "1.0") -> None:
    """A package of one module, with the metadata that pip writes."""
    (folder / module).mkdir(parents=True, exist_ok=True)
    (folder / module / "__init__.py").write_text(source)
    if distribution:
        metadata = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")


def find_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this Python and those that it starts look there first."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", "")))))
