"""Folding the mean over time into the dense layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_res.engines import load_engine
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.int8.fold import fold_mean
from edge_res.export.int8.graph import FRAMES, Conv, DepthwiseConv, Graph, Tensor, run, window_graph
from tests.export.drawing import Builder, logits_of, windows

COLUMNS = 30


@pytest.fixture(scope="module")
def pooled() -> Graph:
    return pooled_over(COLUMNS)


def pooled_over(columns: int, deeper: int = 0) -> Graph:
    """A network that ends with a mean over time, all of whose roundings are small beside the logits' scale."""
    rng = np.random.default_rng(0)
    net = Builder(rng, Tensor(FRAMES, (columns + 2, 6, 1), 0.05, 4))
    x = net.conv(net.source, 8, (3, 3), (1, 2), (1, 1))
    for _ in range(deeper):
        x = net.conv(x, 8, (1, 3), (1, 1), (1, 1))
    x = net.depthwise(x, (1, 3))
    weight, scale = np.full((columns, 1, 8), 127, np.int8), np.full(8, 1 / 127 / columns, np.float32)
    mean = net.append(
        DepthwiseConv(
            "mean", x, Tensor("mean.out", (1, 1, 8), x.scale, x.zero_point), weight, scale, np.zeros(8, np.int32)
        )
    )
    net.conv(mean, 5, (1, 1), (1, 1), (0, 0))
    return window_graph(net.source, net.ops)


def test_a_mean_over_time_becomes_part_of_the_dense_layer(pooled: Graph) -> None:
    folded = fold_mean(pooled)
    assert [op.name for op in folded.ops] == [op.name for op in pooled.ops if op.name != "mean"]
    assert isinstance(folded.ops[-1], Conv)
    assert folded.ops[-1].kernel == (COLUMNS, 1)
    assert folded.output == pooled.output
    frames = windows(pooled, 40)
    before, after = run(pooled, frames).astype(int), run(folded, frames).astype(int)
    assert np.ptp(before) > 100
    dense = pooled.ops[-1]
    assert isinstance(dense, Conv)
    half_a_unit_each = 0.5 * np.abs(dense.weight.astype(int)).sum((1, 2, 3)) * dense.multiplier
    assert (np.abs(after - before) <= half_a_unit_each + 1).all()
    assert (after != before).any()  # it rounds once less


def test_a_fast_mean_stays_where_folding_makes_the_network_much_larger() -> None:
    small, slow, large = pooled_over(25), pooled_over(26), pooled_over(25, deeper=40)
    assert fold_mean(small) is small
    assert fold_mean(slow) is not slow
    assert fold_mean(large) is not large
    assert fold_mean(large).parameters < 1.1 * large.parameters


def test_engines_agree_on_the_folded(pooled: Graph) -> None:
    folded = fold_mean(pooled)
    frames = windows(folded, 40)
    expected = run(folded, frames)
    for engine, writer in (("litert", tflite_writer), ("onnxruntime", onnx_writer)):
        np.testing.assert_array_equal(logits_of(load_engine(engine)(writer.write(folded), 1), frames), expected)


def test_what_is_not_a_plain_mean_stays(pooled: Graph) -> None:
    *before, mean, dense = pooled.ops
    assert isinstance(mean, DepthwiseConv)
    weight, scale, bias = mean.weight.copy(), mean.weight_scale.copy(), mean.bias.copy()
    weight[3], scale[2], bias[1] = 100, 0.5, 9
    for other in (replace(mean, weight=weight), replace(mean, weight_scale=scale), replace(mean, bias=bias)):
        graph = replace(pooled, ops=(*before, other, dense))
        assert fold_mean(graph) is graph


def test_a_mean_that_clips_as_a_relu_does_stays(pooled: Graph) -> None:
    *before, mean, dense = pooled.ops
    assert isinstance(mean, DepthwiseConv)
    assert isinstance(dense, Conv)

    def ending(source: int, sink: int, scale: float) -> Graph:
        """The network with these zero points and this scale around its mean."""
        x = replace(mean.input, zero_point=source)
        y = replace(mean.output, zero_point=sink, scale=scale)
        ops = (replace(before[-1], output=x), replace(mean, input=x, output=y), replace(dense, input=y))  # type: ignore[type-var]
        return replace(pooled, ops=(*before[:-1], *ops))

    scale = mean.input.scale
    for kept in (ending(0, -128, scale), ending(0, 0, scale / 2), ending(-60, -100, scale)):
        assert fold_mean(kept) is kept
    for covered in (ending(-128, -128, scale / 2), ending(10, 10, scale), ending(-100, -100, scale * 1.1)):
        assert len(fold_mean(covered).ops) == len(covered.ops) - 1
