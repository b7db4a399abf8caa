"""What the tests of all engines share."""

from __future__ import annotations

import numpy as np
import pytest

from edge_res.export.int8.graph import FRAMES, Graph, Tensor
from tests.engines.loading import usable
from tests.export.drawing import Builder


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = Builder(np.random.default_rng(0), Tensor(FRAMES, (12, 6, 2), 0.05, 4))
    return net.finish(net.conv(net.source, 8, (3, 3), (1, 2), (1, 1)), 5)


@pytest.fixture(
    params=[
        "litert",
        "onnxruntime",
        pytest.param("tflite-runtime", marks=pytest.mark.may_skip_in_ci("needs numpy < 2, the other engines do not")),
    ]
)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    usable(name)
    return name
