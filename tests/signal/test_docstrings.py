"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from edge_res.model import heads, quantization
from edge_res.signal import frontend, level, resample, ring, stft


@pytest.mark.parametrize("module", [ring, stft, frontend, resample, level, quantization, heads])
def test_examples_in_docstrings(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
