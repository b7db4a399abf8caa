"""A step model in an engine: `advance` carries its states from hop to hop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_res.engines import Runner
from edge_res.errors import ModelError
from edge_res.export.formats import tflite_writer
from edge_res.export.int8.graph import FRAMES, Graph, Int8, Tensor
from edge_res.export.int8.step import step_graph
from edge_res.model.quantization import decode, encode
from tests.engines.loading import file_of, usable
from tests.export.drawing import Builder, logits_of, windows


def stepped(graph: Graph, hop: int, engine: str) -> dict[str, bytes]:
    """Each form of a step file that the engine runs, by name."""
    step = step_graph(graph, hop)
    files = {"states as inputs and outputs": file_of(step, engine)}
    if engine != "onnxruntime":
        files["states as variables"] = tflite_writer.write_with_variables(step)
    return files


def advance_over(runner: Runner, frames: Int8, hop: int) -> list[NDArray[np.int8]]:
    """The logits after each hop."""
    spec = runner.inputs[0]
    hops = [encode(frames[None, at : at + hop], spec) for at in range(0, len(frames), hop)]
    return [decode(runner.advance(one).copy(), runner.outputs[0])[0] for one in hops]


@pytest.fixture(scope="module")
def residual() -> Graph:
    net = Builder(np.random.default_rng(1), Tensor(FRAMES, (24, 6, 2), 0.05, 4))
    stem = net.conv(net.source, 8, (4, 3), (2, 2), (1, 1))
    x = net.add(net.conv(stem, 8, (3, 3), (1, 1), (1, 1)), net.crop(stem, 1, 9))
    shortcut = net.conv(net.crop(x, 1, 7), 12, (1, 1), (2, 2), (0, 0))
    return net.finish(net.add(net.conv(x, 12, (3, 3), (2, 2), (1, 1)), shortcut), 5)


def test_advance_carries_the_states(residual: Graph, engine: str) -> None:
    hop, columns = 4, residual.input.shape[0]
    frames = windows(residual, 4, 5).reshape(-1, *residual.input.shape[1:])
    window = usable(engine)(file_of(residual, engine), 1)
    ends = range(columns, len(frames) + 1, hop)
    expected = logits_of(window, np.stack([frames[end - columns : end] for end in ends]))
    assert len(np.unique(expected, axis=0)) > len(expected) // 2
    for form, content in stepped(residual, hop, engine).items():
        found = advance_over(usable(engine)(content, 1), frames, hop)[columns // hop - 1 :]
        np.testing.assert_array_equal(found, expected, form)


def test_advance_is_run_with_the_states_of_the_last_run(residual: Graph, engine: str) -> None:
    content = stepped(residual, 4, engine)["states as inputs and outputs"]
    carried, plain = (usable(engine)(content, 1) for _ in range(2))
    assert len(plain.inputs) > 3
    states: Sequence[NDArray[Any]] = [np.zeros(spec.shape, spec.dtype) for spec in plain.inputs[1:]]
    for frames in windows(residual, 12)[:, :4]:
        logits, *states = plain.run(encode(frames[None], plain.inputs[0]), *states)
        np.testing.assert_array_equal(carried.advance(encode(frames[None], plain.inputs[0])), logits)
    assert any(state.any() for state in states)


@pytest.mark.parametrize("forked", [False, True])
def test_two_runners_of_one_file_share_no_state(residual: Graph, engine: str, forked: bool) -> None:
    one, other = (windows(residual, 3, seed).reshape(-1, *residual.input.shape[1:]) for seed in (1, 2))
    for form, content in stepped(residual, 4, engine).items():
        alone = [advance_over(usable(engine)(content, 1), frames, 4) for frames in (one, other)]
        first = usable(engine)(content, 1)
        second = first.fork() if forked else usable(engine)(content, 1)
        found: tuple[list[Int8], list[Int8]] = [], []
        for at in range(0, len(one), 4):
            found[0].extend(advance_over(first, one[at : at + 4], 4))
            found[1].extend(advance_over(second, other[at : at + 4], 4))
        np.testing.assert_array_equal(found, alone, form)


def test_advance_neither_keeps_nor_changes_its_input(residual: Graph, engine: str) -> None:
    for content in stepped(residual, 4, engine).values():
        runner = usable(engine)(content, 1)
        hops = encode(windows(residual, 6)[:, :4], runner.inputs[0])
        given = hops.copy()
        fresh = usable(engine)(content, 1)
        buffer = np.empty_like(hops[:1])
        for hop in hops:
            buffer[0] = hop
            logits = runner.advance(buffer)
            buffer[:] = 0
            np.testing.assert_array_equal(logits, fresh.advance(hop[None]))
        np.testing.assert_array_equal(hops, given)


def test_without_states_advance_is_run(graph: Graph, engine: str) -> None:
    runner = usable(engine)(file_of(graph, engine), 1)
    for frames in windows(graph, 3):
        given = encode(frames[None], runner.inputs[0])
        np.testing.assert_array_equal(runner.advance(given), runner.run(given)[0])


def test_states_that_do_not_match_are_refused(residual: Graph, engine: str) -> None:
    step = step_graph(residual, 4)
    logits, *nexts = step.outputs
    assert nexts[0].shape != nexts[1].shape
    for wrong in ((logits, nexts[1], nexts[0], *nexts[2:]), (logits, *nexts[:-1])):
        with pytest.raises(ModelError, match="in the same order; export it again"):
            usable(engine)(file_of(replace(step, outputs=wrong), engine), 1)
