"""Matrices of QDQ files: which way their scales go."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_res.errors import ExportError
from edge_res.export.bundling.answers import float_logits
from edge_res.export.formats.onnx_reader import read_qdq
from edge_res.export.int8.graph import run

CHANNELS = 8
STEP = 0.02  # the scale of frames and logits


class Qdq:
    """A QDQ ONNX file, node by node."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values), f"constant{len(self.constants)}"))
        return f"constant{len(self.constants) - 1}"

    def rounded(self, x: str, scale: float) -> str:
        quantization = self.constant(np.float32(scale)), self.constant(np.uint8(128))
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *quantization), *quantization)

    def weight(self, values: NDArray[Any], axis: int) -> str:
        """Weights with one scale a slice of `axis`."""
        others = tuple(i for i in range(values.ndim) if i != axis)
        scale = (np.abs(values).max(others, keepdims=True) / 127).astype(np.float32)
        integers = self.constant(np.rint(values / scale).astype(np.int8))
        zeros = self.constant(np.zeros(scale.size, np.int8))
        return self.node("DequantizeLinear", integers, self.constant(scale.reshape(-1)), zeros, axis=axis)


def dense_net(kind: str, axis: int, **attributes: Any) -> bytes:
    """A convolution, a mean, and a square matrix whose rows have very different sizes."""
    rng, net = np.random.default_rng(0), Qdq()
    x = net.rounded("frames", STEP)
    x = net.rounded(net.node("Conv", x, net.weight(rng.normal(0, 0.1, (CHANNELS, 1, 3, 6)), 0)), 0.02)
    x = net.node("Flatten", net.rounded(net.node("GlobalAveragePool", x), 0.004))
    matrix = rng.normal(0, 1, (CHANNELS, CHANNELS)) * np.logspace(-1.5, 0, CHANNELS)[:, None]
    sink = net.rounded(net.node(kind, x, net.weight(matrix, axis), **attributes), STEP)
    source = helper.make_tensor_value_info("frames", TensorProto.FLOAT, (1, 1, 12, 6))
    target = helper.make_tensor_value_info(sink, TensorProto.FLOAT, (1, CHANNELS))
    graph = helper.make_graph(net.nodes, "net", [source], [target], net.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("kind", "axis", "attributes"), [("MatMul", 1, {}), ("Gemm", 1, {}), ("Gemm", 0, {"transB": 1})]
)
def test_one_scale_an_output_is_read_as_such(kind: str, axis: int, attributes: dict[str, Any]) -> None:
    model = dense_net(kind, axis, **attributes)
    graph = read_qdq(model)
    integers = np.random.default_rng(1).integers(20, 90, (5, 12, 6, 1)).astype(np.int8)
    expected = float_logits(model, integers * np.float32(STEP))
    found = (run(graph, integers).astype(np.float64) - graph.output.zero_point) * graph.output.scale
    assert np.abs(found - expected).max() < 1.1 * STEP
    assert np.ptp(expected, 1).min() > 10 * STEP


@pytest.mark.parametrize(
    ("kind", "axis", "attributes"), [("MatMul", 0, {}), ("Gemm", 0, {}), ("Gemm", 1, {"transB": 1})]
)
def test_one_scale_an_input_is_refused_though_the_matrix_is_square(
    kind: str, axis: int, attributes: dict[str, Any]
) -> None:
    with pytest.raises(ExportError, match=rf"The {kind} '.*' has one scale per input \(axis {axis} of its weights\)"):
        read_qdq(dense_net(kind, axis, **attributes))
