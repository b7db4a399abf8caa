"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.test_structure import MODULES

WITH_EXAMPLES = [
    name
    for name, path in MODULES.items()
    if name.startswith(("edge_res.address", "edge_res.signal.", "edge_res.model.", "edge_res.sources."))
    and ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted
    assert not result.failed


def test_the_signal_classes_have_examples() -> None:
    assert {f"edge_res.signal.{name}" for name in ("ring", "stft", "frontend", "resample", "level")} <= set(
        WITH_EXAMPLES
    )
