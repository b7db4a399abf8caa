"""Tuning for int8: it computes the graph's integers, learns the float answers, and is used only where it helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from hypothesis import given
from torch import Tensor, nn

from edge_res.export.bundling import packaging
from edge_res.export.bundling.answers import float_logits, int8_logits
from edge_res.export.bundling.int8_tuning import RoundedGraph, tune
from edge_res.export.bundling.material import Material, Validation
from edge_res.export.bundling.trained import to_onnx
from edge_res.export.formats.onnx_reader import read_qdq
from edge_res.export.formats.quantize import quantize_onnx, symmetric
from edge_res.export.int8.graph import FRAMES, Concat, Conv, Graph, MaxPool, run_all, window_graph
from edge_res.export.int8.graph import run as interpreted
from edge_res.export.int8.ops import DepthwiseConv
from edge_res.export.int8.ops import Tensor as Activation
from edge_res.export.training.runs import Run, network_of
from edge_res.export.training.settings import Net, TrainSettings
from edge_res.flow import Frames
from edge_res.model.bundle import DecideParams
from tests.export.drawing import Builder, graphs, windows

SETTINGS = TrainSettings(frames=40, batch=8, net=Net(widths=(4, 8, 8)))
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def run() -> Run:
    torch.manual_seed(3)
    params = SETTINGS.front_end.params()
    model = network_of(SETTINGS, params, 3).build().eval()
    with torch.no_grad():  # so that no label always wins
        model.classifier.bias -= model(torch.randn(64, 1, 40, 40)).mean(0)  # type: ignore[union-attr]
    return Run(SETTINGS, params, LABELS, model, "", {}, {})


def drawn(count: int, seed: int) -> Frames:
    frames: Frames = np.random.default_rng(seed).normal(0, 1, (count, 40, 40, 1)).astype(np.float32)
    return frames


def assert_same_integers(graph: Graph) -> None:
    integers = windows(graph, 3)
    x = torch.from_numpy(integers.astype(np.float32) - graph.input.zero_point).permute(0, 3, 1, 2)
    logits = RoundedGraph(graph)(x).detach().numpy() / graph.output.scale + graph.output.zero_point
    np.testing.assert_array_equal(np.rint(logits), interpreted(graph, integers))


@given(graphs())
def test_it_computes_the_integers_of_the_graph(graph: Graph) -> None:
    assert_same_integers(graph)


def test_it_computes_the_integers_of_padded_pooled_and_joined_graphs() -> None:
    rng = np.random.default_rng(1)
    net = Builder(rng, Activation(FRAMES, (20, 8, 2), 0.05, 3))
    x = net.conv(net.source, 4, (3, 3), (1, 1), (1, 1))
    net.ops[-1] = replace(net.ops[-1], output=replace(x, zero_point=100))  # type: ignore[type-var]
    pool = MaxPool("pool", net.ops[-1].output, x, (3, 3), (2, 2), (1, 1), (1, 1))
    x = net.append(replace(pool, output=replace(pool.input, name="pool.out", shape=pool.output_shape)))
    both = Concat("both", (x, x), x, axis=2)
    x = net.append(replace(both, output=replace(x, name="both.out", shape=both.output_shape)))
    assert_same_integers(net.finish(x, 3))


def test_untuned_it_is_the_graph_that_it_was_made_from(run: Run) -> None:
    graph = read_qdq(quantize_onnx(to_onnx(run), drawn(16, 0)))
    learned = RoundedGraph(graph).learned()
    integers = windows(graph, 2)
    for before, after in zip(
        run_all(graph, [integers[0]]).values(), run_all(learned, [integers[0]]).values(), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_tuning_brings_the_integers_nearer_to_the_float_answers(run: Run) -> None:
    network = to_onnx(run)
    graph = read_qdq(quantize_onnx(network, drawn(64, 0)))
    coarse = coarser(graph, 8)
    new = drawn(128, 7)
    in_float = float_logits(network, new)
    tuned = tune(coarse, lambda epoch: drawn(256, 10 + epoch), lambda frames: float_logits(network, frames), 3)

    def error(graph: Graph) -> float:
        return float(np.square(int8_logits(graph, new) - in_float).mean())

    assert error(tuned) < 0.5 * error(coarse)
    assert [op.output for op in tuned.ops] == [op.output for op in coarse.ops]  # names, shapes, scales, zero points
    for before, after in zip(coarse.ops, tuned.ops, strict=True):
        if isinstance(before, DepthwiseConv):
            assert before is after
        if isinstance(before, Conv) and isinstance(after, Conv):
            assert np.abs(after.weight).max() <= 127
    again = tune(coarse, lambda epoch: drawn(256, 10 + epoch), lambda frames: float_logits(network, frames), 3)
    np.testing.assert_array_equal(interpreted(again, windows(graph, 4)), interpreted(tuned, windows(graph, 4)))


def coarser(graph: Graph, steps: int) -> Graph:
    """The graph with weights of fewer steps."""
    ops = [
        replace(op, weight=np.clip(np.rint(op.weight / steps) * steps, -127, 127).astype(np.int8))
        if isinstance(op, Conv)
        else op
        for op in graph.ops
    ]
    return window_graph(graph.input, ops)


def test_a_network_is_tuned_only_where_int8_costs_too_much(run: Run) -> None:
    frames = drawn(200, 0)
    targets = float_logits(to_onnx(run), frames).argmax(1)  # in float all are right
    calls = []

    def better(graph: Graph) -> Graph:
        calls.append(graph)
        return read_qdq(quantize_onnx(to_onnx(run), frames))

    good = Material(
        to_onnx(run), LABELS, (), run.front_end, 8, frames[:64], frames[0], DecideParams(dict.fromkeys(LABELS, 0.5)),
        validation=Validation(frames, targets, ("",) * len(targets)), tune=better, allowed_loss=0.3,
    )  # fmt: skip
    said: list[str] = []
    _, is_tuned = packaging.quantized_well(good, "minmax", said.append)
    assert not is_tuned
    assert not calls

    outlier = frames[:64].copy()
    outlier[0, 0, 0, 0] = 400.0  # one step of the input is now as large as most of it
    bad = replace(good, calibration=outlier, allowed_loss=0.003)
    window, is_tuned = packaging.quantized_well(bad, "minmax", said.append)
    assert is_tuned
    assert len(window.ops) == len(calls[0].ops) - 1  # folded, after it was tuned unfolded
    assert "points of accuracy, tuning" in said[0]
    _, is_tuned = packaging.quantized_well(replace(bad, tune=lambda graph: graph), "minmax", said.append)
    assert not is_tuned


def loud_network(frames: Tensor) -> nn.Sequential:
    """A network with a channel that drowns the others in int8 and that nothing reads."""
    torch.manual_seed(5)
    net = nn.Sequential(
        nn.Conv2d(1, 4, (3, 40)), nn.ReLU(), nn.Conv2d(4, 8, (3, 1)), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    ).eval()  # fmt: skip
    with torch.no_grad():
        net[2].weight[:, 0] = 0  # type: ignore[operator]
        net[0].weight[0] *= 3000  # type: ignore[index, operator]
        net[6].bias -= net(frames).mean(0)
    return net


def test_a_bundle_says_that_it_was_tuned(run: Run, tmp_path: Path) -> None:
    frames = torch.randn(200, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    trained = to_onnx(replace(run, model=loud_network(frames)))
    shown = np.ascontiguousarray(frames.numpy().transpose(0, 2, 3, 1))
    targets = float_logits(trained, shown).argmax(1)
    quiet_model = loud_network(frames)
    with torch.no_grad():
        quiet_model[0].weight[0] /= 3000  # type: ignore[index, operator]
    quiet = to_onnx(replace(run, model=quiet_model))
    material = Material(
        trained, LABELS, (), run.front_end, 8, shown, np.concatenate([*shown[:4]]),
        DecideParams(dict.fromkeys(LABELS, 0.5)), validation=Validation(shown, targets, ("",) * len(targets)),
        tune=lambda graph: read_qdq(quantize_onnx(quiet, shown)),
    )  # fmt: skip
    bundle = packaging.build(material, tmp_path / "x.edgeres", "x", "minmax", "tensorrt", lambda text: None)
    metrics = bundle.manifest.metrics
    assert metrics["int8_tuned"] is True
    assert metrics["validation_float"]["accuracy"] == 1
    np.testing.assert_array_equal(
        float_logits(bundle.files["window-symmetric.onnx"], shown), float_logits(symmetric(trained, shown), shown)
    )
    untuned = packaging.build(replace(material, tune=None), tmp_path / "y.edgeres", "y", "minmax", None, lambda _: None)
    assert "int8_tuned" not in untuned.manifest.metrics
    assert untuned.manifest.metrics["validation_int8"]["accuracy"] < metrics["validation_int8"]["accuracy"]
