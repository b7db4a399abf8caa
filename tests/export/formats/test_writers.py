"""Both files of a graph give the integers of the numpy interpreter."""

from __future__ import annotations

import collections
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_res.engines import load_engine
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.int8.graph import FRAMES, LOGITS, Add, Graph, Tensor, run
from tests.export.drawing import Builder, graphs, logits_of, windows


@pytest.fixture(scope="module")
def residual() -> Graph:
    net = Builder(np.random.default_rng(0), Tensor(FRAMES, (24, 8, 2), 0.05, 4))
    stem = net.conv(net.source, 8, (4, 3), (2, 2), (1, 1))
    inner = net.conv(net.conv(stem, 8, (3, 3), (1, 1), (1, 1)), 8, (3, 3), (1, 1), (1, 1))
    x = net.add(inner, net.crop(stem, 2, 7))
    shortcut = net.conv(net.crop(x, 1, 5), 12, (1, 1), (2, 2), (0, 0))
    return net.finish(net.add(net.conv(x, 12, (3, 3), (2, 2), (1, 1)), shortcut), 5)


@given(graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_engines_give_the_interpreters_integers(graph: Graph, seed: int) -> None:
    frames = windows(graph, 3, seed)
    expected = run(graph, frames)
    onnx_file, tflite_file = onnx_writer.write(graph), tflite_writer.write(graph)
    np.testing.assert_array_equal(logits_of(load_engine("litert")(tflite_file, 1), frames), expected)
    np.testing.assert_array_equal(logits_of(load_engine("onnxruntime")(onnx_file, 1), frames), expected)


@pytest.mark.parametrize("engine", ["litert", "onnxruntime"])
def test_shapes_scales_and_zero_points_are_read_back(residual: Graph, engine: str) -> None:
    writer, shift = (onnx_writer, 128) if engine == "onnxruntime" else (tflite_writer, 0)
    runner = load_engine(engine)(writer.write(residual), 1)
    (source,), (sink,) = runner.inputs, runner.outputs
    assert (source.name, source.shape) == (FRAMES, (1, 24, 8, 2))
    assert (sink.name, sink.shape) == (LOGITS, (1, 5))
    assert source.dtype == sink.dtype == (np.uint8 if shift else np.int8)
    assert (source.scale, source.zero_point) == (residual.input.scale, residual.input.zero_point + shift)
    assert (sink.scale, sink.zero_point) == (residual.output.scale, residual.output.zero_point + shift)


def test_onnx_runtime_fuses_everything(residual: Graph, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(onnx_writer.write(residual), options, providers=["CPUExecutionProvider"])
    kinds = collections.Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    sums = sum(isinstance(op, Add) for op in residual.ops)
    assert (kinds.pop("QLinearConv"), kinds.pop("QLinearAdd")) == (8, sums)
    assert set(kinds) <= {"Transpose", "Reshape", "Slice"}


def test_xnnpack_takes_the_whole_tflite_file(residual: Graph) -> None:
    runner = load_engine("litert")(tflite_writer.write(residual), 1)
    assert runner.engine.startswith("LiteRT ")
    assert runner.engine.endswith(" (XNNPACK)")


def test_onnx_is_what_old_onnx_runtimes_load_and_names_everything(residual: Graph) -> None:
    model = onnx.load_from_string(onnx_writer.write(residual))
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)
    nodes = [node.name for node in model.graph.node]
    values = [name for node in model.graph.node for name in node.output]
    assert all(nodes)
    assert len(set(nodes)) == len(nodes)
    assert {op.name for op in residual.ops} <= set(nodes)
    assert {op.output.name for op in residual.ops} <= set(values)
    metadata = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    assert metadata["edge_res.tensors"][FRAMES] == {"scale": residual.input.scale, "zero_point": 132}


def test_tflite_names_every_tensor(residual: Graph) -> None:
    model = schema.ModelT.InitFromPackedBuf(tflite_writer.write(residual), 0)
    names = [tensor.name.decode() for tensor in model.subgraphs[0].tensors]
    assert len(set(names)) == len(names)
    assert {op.output.name for op in residual.ops} | {FRAMES, LOGITS} <= set(names)


def test_the_same_graph_gives_the_same_bytes(residual: Graph) -> None:
    for writer in (onnx_writer, tflite_writer):
        assert writer.write(residual) == writer.write(residual)
