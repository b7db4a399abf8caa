from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from edge_res.errors import ExportError
from edge_res.export.int8.graph import FRAMES, LOGITS, Add, Conv, Crop, Graph, Span, Tensor, run, run_all, window_graph
from tests.export.drawing import Builder, graphs, windows


def one_conv(**changes: object) -> Graph:
    """Two taps along time with weights 1 and 2, then the logits: 1 · x0 + 2 · x1 - 3, halved."""
    source = Tensor(FRAMES, (2, 1, 1), 1.0, 0)
    sink = Tensor("out", (1, 1, 1), 2.0, 5)
    weight = np.array([1, 2], np.int8).reshape(1, 2, 1, 1)
    conv = Conv("conv", source, sink, weight, np.ones(1, np.float32), np.array([-3], np.int32))
    return window_graph(source, (replace(conv, **changes),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x0", "x1", "expected"),
    [
        (5, 10, 16),  # (5 + 20 - 3) / 2 + 5
        (6, 10, 17),  # 11.5 is rounded to the even 12
        (4, 10, 15),  # 10.5 is rounded to the even 10
        (-4, -10, -9),  # -13.5 is rounded to the even -14
        (127, 127, 127),
        (-128, -128, -128),
    ],
)
def test_a_convolution_rounds_halves_to_even_and_clips(x0: int, x1: int, expected: int) -> None:
    frames = np.array([x0, x1], np.int8).reshape(1, 2, 1, 1)
    assert run(one_conv(), frames).tolist() == [[expected]]


def test_padding_is_the_zero_point_and_only_along_frequency() -> None:
    source = Tensor(FRAMES, (1, 2, 1), 1.0, 7)
    sink = Tensor("out", (1, 1, 1), 1.0, 0)
    weight = np.array([100, 1, 10, 100], np.int8).reshape(1, 1, 4, 1)
    conv = Conv("conv", source, sink, weight, np.ones(1, np.float32), np.zeros(1, np.int32), padding=(1, 1))
    frames = np.array([9, 8], np.int8).reshape(1, 1, 2, 1)
    assert run(window_graph(source, (conv,)), frames).tolist() == [[12]]  # 100·0 + 1·(9-7) + 10·(8-7) + 100·0


def test_costs_and_spans_of_a_known_network() -> None:
    net = Builder(np.random.default_rng(0), Tensor(FRAMES, (16, 8, 2), 0.1, 0))
    stem = net.conv(net.source, 4, (4, 3), (2, 2), (1, 1))
    inner = net.conv(net.conv(stem, 4, (3, 3), (1, 1), (1, 1)), 4, (3, 3), (1, 1), (1, 1))
    total = net.add(inner, net.crop(stem, 2, 3))
    graph = net.finish(total, 3)
    assert stem.shape == (7, 4, 4)
    assert graph.spans[stem.name] == Span(0, 4, 2)
    assert graph.spans[inner.name] == Span(0, 12, 2)
    assert graph.spans[graph.ops[3].output.name] == Span(4, 4, 2)
    assert graph.spans[total.name] == Span(0, 12, 2)
    assert graph.spans[graph.output.name] == Span(0, 16, 8 // 4)
    weights = [4 * 12 * 2, 4 * 9 * 4, 4 * 9 * 4, 4 * 4, 3 * 4, 3 * 4]
    outputs = [7 * 4, 5 * 4, 3 * 4, 3, 1, 1]
    assert graph.macs == sum(w * n for w, n in zip(weights, outputs, strict=True))
    assert graph.parameters == sum(weights) + 4 * 5 + 3
    assert graph.labels == 3


@given(graphs())
@settings(max_examples=25, deadline=None)
def test_a_column_depends_on_its_span_alone(graph: Graph) -> None:
    (window,) = windows(graph, 1)
    whole = run_all(graph, [window])
    for at in range(0, len(window), 3):
        changed = window.copy()
        changed[at] = ~changed[at]
        for name, values in run_all(graph, [changed]).items():
            span = graph.spans[name]
            for column in np.flatnonzero((values != whole[name]).any((1, 2))):
                first = span.start + column * span.stride
                assert first <= at < first + span.frames, (name, column, at)


@given(graphs())
@settings(max_examples=25, deadline=None)
def test_operations_compute_a_part_as_they_compute_the_whole(graph: Graph) -> None:
    whole = run_all(graph, [windows(graph, 1)[0]])
    for op in graph.ops:
        columns = op.output.shape[0]
        if isinstance(op, Crop) or columns < 2:
            continue
        start, stop = op.time_stride, (columns - 1) * op.time_stride + op.kernel_frames
        part = op.forward(*(whole[tensor.name][start:stop] for tensor in op.inputs))
        np.testing.assert_array_equal(part, whole[op.output.name][1:])


def test_a_graph_that_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ExportError, match="no operation before it makes"):
        one_conv(input=Tensor("elsewhere", (2, 1, 1), 1.0, 0))
    with pytest.raises(ExportError, match="not a new tensor"):
        one_conv(output=Tensor("out", (2, 1, 1), 1.0, 0))
    with pytest.raises(ExportError, match="logits"):
        one_conv(output=Tensor(LOGITS, (1, 1, 1), 1.0, 0))
    with pytest.raises(ExportError, match="expected \\(1, 1, labels\\)"):
        one_conv(weight=np.ones((1, 1, 1, 1), np.int8), output=Tensor("out", (2, 1, 1), 1.0, 0))


def test_a_sum_that_engines_round_differently_is_refused() -> None:
    source = Tensor(FRAMES, (1, 1, 4), 1.0, 0)
    for scale in (2.0, 1.5, 0.75):  # ratios 1/2 (ties), 2/3 twice, more than 1
        with pytest.raises(ExportError, match="round differently"):
            window_graph(source, (Add("add", (source, source), Tensor("out", (1, 1, 4), scale, 0)),))
    window_graph(source, (Add("add", (source, source), Tensor("out", (1, 1, 4), 1.0, 0)),))
