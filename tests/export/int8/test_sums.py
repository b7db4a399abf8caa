"""Sums are where engines round differently; these show that the chosen scales make them agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_res.engines import load_engine
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.int8.graph import FRAMES, Add, Crop, DepthwiseConv, Graph, Int8, Op, Tensor, run
from edge_res.export.int8.ops import is_far_from_ties
from edge_res.export.int8.sums import exact_sums, identity, rescaled, sum_scale
from tests.export.drawing import Builder, logits_of, windows

scales = st.floats(2.0**-10, 1.0, width=32)


@given(scales, scales)
def test_the_scale_of_a_sum_is_little_larger_than_wanted(wanted: float, addend: float) -> None:
    scale = sum_scale(wanted, addend)
    assert is_far_from_ties(addend / scale)
    least = max(wanted, addend)
    # An addend that can contribute one integer at most is all ties or none.
    assert least <= scale <= (1.1 if addend > least / 64 else 2.1) * least
    assert float(np.float32(scale)) == scale


@given(scales, st.integers(-128, 127), st.floats(1, 4))
def test_a_rescaled_tensor_keeps_its_lower_end(scale: float, zero_point: int, factor: float) -> None:
    before = Tensor("x", (1, 1, 1), scale, zero_point)
    after = rescaled(before, float(np.float32(scale * factor)))
    assert -128 <= after.zero_point <= zero_point
    ends = [(-128 - tensor.zero_point) * tensor.scale for tensor in (before, after)]
    assert abs(ends[0] - ends[1]) <= 0.51 * after.scale


def all_pairs(b_scale: float, wanted: float, zero_points: tuple[int, int, int]) -> Graph:
    """256 sums of two frames: a, rescaled by a convolution, and b, which has the input's scale."""
    source = Tensor(FRAMES, (2, 1, 256), b_scale, zero_points[1])
    half = replace(source, shape=(1, 1, 256))
    a, b = replace(half, name="a"), replace(half, name="b")
    same = identity(a, "same")
    rescaled = replace(same, output=replace(same.output, zero_point=zero_points[0]))
    ops: list[Op] = [
        Crop("first", source, a, 0, 1),
        Crop("second", source, b, 1, 2),
        rescaled,
        Add("add", (rescaled.output, b), Tensor("sum", (1, 1, 256), wanted, zero_points[2])),
    ]
    return exact_sums(source, ops)


@given(scales, st.floats(0.25, 4, width=32), st.tuples(*[st.integers(-128, 127)] * 3))
@example(0.5, 2.0, (10, -128, -20))  # halves: without the care taken, one sum in six differs
@example(0.75, 4 / 3, (0, 3, 5))
@example(0.5, 1.0, (-128, -128, -128))
@settings(max_examples=20, deadline=None)
def test_engines_add_alike_for_all_pairs_of_integers(
    scale: float, ratio: float, zero_points: tuple[int, int, int]
) -> None:
    graph = all_pairs(scale, float(np.float32(scale * ratio)), zero_points)
    integers = np.arange(-128, 128, dtype=np.int8)
    frames = np.stack([np.stack([np.roll(integers, n), integers])[:, None] for n in range(256)])
    expected = run(graph, frames)
    for engine, content in (
        ("litert", tflite_writer.write(graph)),
        ("onnxruntime", onnx_writer.write(graph)),
    ):
        found = logits_of(load_engine(engine)(content, 1), frames)
        np.testing.assert_array_equal(found, expected, err_msg=engine)


def test_a_sum_that_no_convolution_can_rescale_gets_one_more() -> None:
    net = Builder(np.random.default_rng(1), Tensor(FRAMES, (12, 4, 2), 0.1, 3))
    x = net.conv(net.source, 4, (3, 3), (1, 1), (1, 1))
    y = net.add(net.crop(x, 0, 8), net.crop(x, 2, 8))  # x has two readers: its scale cannot follow the sum's
    graph = net.finish(y, 3)
    added = [op for op in graph.ops if op.name.endswith(".rescale")]
    assert len(added) == 1
    assert isinstance(added[0], DepthwiseConv)
    frames = windows(graph, 8)
    expected = run(graph, frames)
    np.testing.assert_array_equal(logits_of(load_engine("litert")(tflite_writer.write(graph), 1), frames), expected)


@pytest.mark.parametrize("seed", range(5))
def test_moved_scales_change_the_real_sums_by_rounding_only(seed: int) -> None:
    net = Builder(np.random.default_rng(seed), Tensor(FRAMES, (9, 4, 2), 0.1, 3))
    x = net.conv(net.source, 4, (3, 3), (1, 1), (1, 1))
    y = net.conv(x, 4, (3, 3), (1, 1), (1, 1))
    total = net.add(y, net.crop(x, 1, 5))
    graph = net.finish(total, 3)
    (window,) = windows(graph, 1)
    before = {net.source.name: window}
    for op in net.ops:  # with the scales that were wanted
        before[op.output.name] = op.forward(*(before[tensor.name] for tensor in op.inputs))
    after = {net.source.name: window}
    for op in graph.ops:
        after[op.output.name] = op.forward(*(after[tensor.name] for tensor in op.inputs))
    moved = next(op.output for op in graph.ops if isinstance(op, Add))

    def real(values: Int8, tensor: Tensor) -> NDArray[np.float64]:
        return (values.astype(np.float64) - tensor.zero_point) * tensor.scale

    inside = (before[total.name] > -128) & (before[total.name] < 127)
    inside &= (after[total.name] > -128) & (after[total.name] < 127)
    inside &= (before[y.name] > -128) & (before[y.name] < 127)
    difference = np.abs(real(before[total.name], total) - real(after[total.name], moved))[inside]
    assert difference.size > 20
    assert difference.max() < 2 * moved.scale
