"""Networks that begin with an operation that only moves values."""

from __future__ import annotations

import numpy as np
import pytest

from edge_res.engines import load_engine
from edge_res.export.formats import tflite_writer
from edge_res.export.formats.quantize import quantize
from edge_res.export.int8.graph import run
from edge_res.export.int8.step import step_graph
from edge_res.model.quantization import decode, encode
from tests.export.formats.test_quantize import CALIBRATION, Net, float_logits, real_logits, weights


@pytest.mark.parametrize("kind", ["Slice", "MaxPool", "Reshape"])
def test_a_network_may_begin_with_an_operation_that_only_moves_values(kind: str) -> None:
    net = Net()
    if kind == "Reshape":  # a linear classifier of the image
        x = net.node("Reshape", "frames", np.array([1, 72]))
        model = net.finish(net.node("Gemm", x, weights(3, 72), weights(3), transB=1))
    else:
        x = (
            net.node("Slice", "frames", np.array([2]), np.array([10]), np.array([2]))
            if kind == "Slice"
            else net.node("MaxPool", "frames", kernel_shape=[5, 1])
        )
        model = net.finish(net.head(net.node("Relu", net.node("Conv", x, weights(4, 1, 3, 3), weights(4))), 4, 6, 4))
    graph = quantize(model, CALIBRATION)
    expected = float_logits(model, CALIBRATION)
    error = real_logits(graph, CALIBRATION) - expected
    assert np.sqrt((error**2).mean()) < 0.15 * expected.std()
    stream = np.random.default_rng(0).integers(-128, 128, (24, 6, 1)).astype(np.int8)
    logits = run(graph, np.stack([stream[at : at + 12] for at in range(0, 13, 4)]))
    runner = load_engine("litert")(tflite_writer.write_with_variables(step_graph(graph, 4)), 1)
    pieces = [encode(stream[None, at : at + 4], runner.inputs[0]) for at in range(0, 24, 4)]
    found = decode(np.stack([runner.advance(piece)[0].copy() for piece in pieces]), runner.outputs[0])
    np.testing.assert_array_equal(found[2:], logits)
