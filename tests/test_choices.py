"""The names of engines lead to classes, whether or not the engine's package is installed here."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from edge_res.choices import ENGINES


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_its_class(engine: str) -> None:
    module, _, name = ENGINES[engine].runner.partition(":")
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    assert name in {node.name for node in body if isinstance(node, ast.ClassDef)}
