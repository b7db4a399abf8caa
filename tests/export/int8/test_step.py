"""Steps give the integers of the window, in the interpreter and in every engine's file."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_res.engines import Runner, load_engine
from edge_res.errors import ExportError
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.int8.graph import FRAMES, Concat, Conv, Crop, Graph, Int8, Tensor, run, run_all, window_graph
from edge_res.export.int8.step import plan, receptive_field, step_graph, time_stride
from edge_res.model.quantization import decode, encode
from tests.export.drawing import Builder, graphs, logits_of

SOURCE = Tensor(FRAMES, (24, 5, 2), 0.05, 3)


def hops_that_fit(graph: Graph) -> list[int]:
    frames, stride = graph.input.shape[0], time_stride(graph)
    return [hop for hop in range(stride, frames + 1, stride) if frames % hop == 0]


@st.composite
def streams(draw: st.DrawFn) -> tuple[Graph, int, Int8]:
    """A window graph, a hop that fits it, and some windows' worth of frames."""
    graph = draw(graphs().filter(lambda graph: bool(hops_that_fit(graph))))
    hop = draw(st.sampled_from(hops_that_fit(graph)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = graph.input.shape[0] + hop * int(rng.integers(1, 4))
    stream: Int8 = rng.integers(-128, 128, (frames, *graph.input.shape[1:])).astype(np.int8)
    return graph, hop, stream


def windows_of(stream: Int8, frames: int, hop: int) -> Int8:
    """The windows that begin at each hop."""
    return np.stack([stream[at : at + frames] for at in range(0, len(stream) - frames + 1, hop)])


def interpreted(step: Graph, stream: Int8, seed: int) -> Iterator[Int8]:
    """The logits of each hop; the states hold anything at first."""
    rng = np.random.default_rng(seed)
    states = [rng.integers(-128, 128, state.shape).astype(np.int8) for state in step.states]
    hop = step.input.shape[0]
    for at in range(0, len(stream), hop):
        values = run_all(step, [stream[at : at + hop], *states])
        states = [values[tensor.name] for tensor in step.outputs[1:]]
        yield values[step.output.name].reshape(-1)


def advanced(runner: Runner, stream: Int8, hop: int) -> Int8:
    """The logits of each hop, as the engine carries the states."""
    source, sink = runner.inputs[0], runner.outputs[0]
    pieces = [encode(stream[None, at : at + hop], source) for at in range(0, len(stream), hop)]
    return decode(np.stack([runner.advance(piece)[0].copy() for piece in pieces]), sink)


@settings(max_examples=300)
@given(streams(), st.integers(0, 1000))
def test_interpreter_and_engines_agree_in_both_modes(drawn: tuple[Graph, int, Int8], seed: int) -> None:
    graph, hop, stream = drawn
    frames = graph.input.shape[0]
    windows = windows_of(stream, frames, hop)
    expected = run(graph, windows)
    step = step_graph(graph, hop)
    ready = frames // hop - 1  # the first score comes after exactly one window
    np.testing.assert_array_equal(list(interpreted(step, stream, seed))[ready:], expected)
    for engine, window, files in (
        ("onnxruntime", onnx_writer.write(graph), [onnx_writer.write(step)]),
        ("litert", tflite_writer.write(graph), [tflite_writer.write(step), tflite_writer.write_with_variables(step)]),
    ):
        np.testing.assert_array_equal(logits_of(load_engine(engine)(window, 1), windows), expected)
        for file in files:
            found = advanced(load_engine(engine)(file, 1), stream, hop)
            np.testing.assert_array_equal(found[ready:], expected)


@settings(max_examples=300)
@given(streams(), st.integers(0, 1000))
def test_the_interpreter_agrees_with_itself(drawn: tuple[Graph, int, Int8], seed: int) -> None:
    graph, hop, stream = drawn
    step = step_graph(graph, hop)
    expected = run(graph, windows_of(stream, graph.input.shape[0], hop))
    found = list(interpreted(step, stream, seed))[graph.input.shape[0] // hop - 1 :]
    np.testing.assert_array_equal(found, expected)
    assert plan(graph, hop).hops * hop == graph.input.shape[0]
    # A step computes no more than a window, except for rounding up to whole hops at the coarsest level.
    assert step.macs <= graph.macs * 2


def small(stride: int = 1, dense: bool = False) -> Graph:
    net = Builder(np.random.default_rng(0), SOURCE)
    x = net.conv(SOURCE, 4, (3, 3), (stride, 1), (1, 1))
    x = net.conv(x, 4, (3, 3), (1, 1), (1, 1))
    return net.finish(x, 3, dense)


def test_a_step_keeps_the_columns_that_its_kernels_see_again() -> None:
    step = step_graph(small(), 4)
    held = {state.name.removeprefix("state."): state.shape[0] for state in step.states}
    assert held["frames"] == 2  # a kernel of three columns at stride 1
    assert held["conv0.out"] == 2
    assert sum(held.values()) == 2 + 2 + (20 - 4)  # and the columns of the mean, except the hop's own
    assert all(isinstance(op, Concat | Crop | Conv) or op.kernel_frames in (1, 20) for op in step.ops)


def test_a_step_costs_what_a_hop_adds() -> None:
    window, step = small(), step_graph(small(), 4)
    convolutions = [sum(op.macs for op in graph.ops if isinstance(op, Conv)) for graph in (window, step)]
    assert convolutions[0] > 4.5 * convolutions[1]


def test_a_dense_network_steps_too() -> None:
    graph = small(dense=True)
    stream = np.random.default_rng(1).integers(-128, 128, (48, 5, 2)).astype(np.int8)
    found = list(interpreted(step_graph(graph, 8), stream, 0))[2:]
    np.testing.assert_array_equal(found, run(graph, windows_of(stream, 24, 8)))


@pytest.mark.parametrize(
    ("stride", "hop", "sentence"),
    [
        (
            2,
            3,
            "A hop of 3 frames does not fit .*, whose columns are 2 frames apart; .* that fit are 2 and 4.",
        ),
        (2, 1, "nearest hops that fit are 2."),
        (2, 0, "A hop of 0 frames does not fit"),
        (
            1,
            5,
            r"window of 24 frames cannot be divided into hops of 5; .* \(receptive field 5, .*\) are 20 and 25 frames.",
        ),
        (1, 40, "A window of 24 frames cannot be divided into hops of 40; .* are 40 frames."),
    ],
)
def test_what_does_not_fit_is_refused_with_the_nearest_that_do(stride: int, hop: int, sentence: str) -> None:
    with pytest.raises(ExportError) as raised:
        step_graph(small(stride), hop)
    assert re.search(sentence, str(raised.value)), str(raised.value)


def test_receptive_field_and_stride_come_from_the_operations() -> None:
    assert (receptive_field(small()), time_stride(small())) == (5, 1)
    assert (receptive_field(small(2)), time_stride(small(2))) == (7, 2)
    assert (receptive_field(small(dense=True)), time_stride(small(dense=True))) == (5, 1)
    shortest = window_graph(SOURCE, Builder(np.random.default_rng(0), SOURCE).finish(SOURCE, 3, dense=True).ops)
    assert (receptive_field(shortest), time_stride(shortest)) == (1, 1)


def joined(stride: int) -> Graph:
    """A branch of a stride beside one that is cropped to its columns."""
    net = Builder(np.random.default_rng(0), SOURCE)
    a = net.conv(SOURCE, 4, (2, 3), (stride, 1), (0, 1))
    b = net.crop(net.conv(SOURCE, 4, (1, 3), (1, 1), (0, 1)), 0, a.shape[0])
    return net.finish(net.add(a, b), 3)


def test_branches_at_different_strides_make_a_window_model_that_says_why() -> None:
    assert not joined(1).window_only
    graph = joined(2)
    assert graph.window_only == (
        "add3 joins columns that are 2 and 1 frames apart, and a stream brings more of one kind than of the other"
    )
    with pytest.raises(ExportError, match="The network has no step model: add3 joins"):
        step_graph(graph, 8)


@pytest.mark.parametrize("stop", [24, 17, 16, 4, 1])
@pytest.mark.parametrize("first", [False, True], ids=["behind a convolution", "at once"])
def test_a_window_whose_last_columns_are_never_read_steps_too(stop: int, first: bool) -> None:
    net = Builder(np.random.default_rng(0), SOURCE)
    x = net.crop(SOURCE, 0, stop) if first else net.crop(net.conv(SOURCE, 4, (1, 3), (1, 1), (0, 1)), 0, stop)
    graph = net.finish(x, 3)
    stream = np.random.default_rng(1).integers(-128, 128, (48, 5, 2)).astype(np.int8)
    step = step_graph(graph, 8)
    found = list(interpreted(step, stream, 0))[2:]
    np.testing.assert_array_equal(found, run(graph, windows_of(stream, 24, 8)))
    for engine, write in (("onnxruntime", onnx_writer.write), ("litert", tflite_writer.write_with_variables)):
        np.testing.assert_array_equal(advanced(load_engine(engine)(write(step), 1), stream, 8)[2:], found)


def test_a_network_that_ends_with_a_slice_steps_too() -> None:
    net = Builder(np.random.default_rng(0), SOURCE)
    x = net.conv(SOURCE, 3, (3, 5), (1, 1), (0, 0))
    net.crop(x, x.shape[0] - 1, 1)
    graph = window_graph(SOURCE, net.ops)
    stream = np.random.default_rng(1).integers(-128, 128, (48, 5, 2)).astype(np.int8)
    found = list(interpreted(step_graph(graph, 8), stream, 0))[2:]
    np.testing.assert_array_equal(found, run(graph, windows_of(stream, 24, 8)))
