"""Where an engine first differs from the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_res.engines import load_engine
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.int8.graph import Graph, Int8, run_all
from edge_res.model.quantization import decode, encode

WRITERS = {"onnx": onnx_writer.write, "tflite": tflite_writer.write}


def first_difference(graph: Graph, engine: str, inputs: Sequence[Int8]) -> str | None:
    """The first operation whose result differs in an engine, as a part of a sentence; None if all are equal.

    `inputs` are the int8 values of the graph's inputs. Every tensor is made an output, which may change what the engine
    fuses, so None does not prove that the file in the bundle is right.
    """
    made = [op for op in graph.ops if op.output.name not in {tensor.name for tensor in graph.outputs}]
    unused = (
        replace(op.output, name=f"unused.{op.output.name}") for op in made
    )  # a graph has an input for each further output
    open_graph = replace(graph, inputs=(*graph.inputs, *unused), outputs=(*graph.outputs, *(op.output for op in made)))
    runner_class = load_engine(engine)
    runner = runner_class(WRITERS[runner_class.suffix](open_graph), 1)
    values_in = [*inputs, *(np.zeros(tensor.shape, np.int8) for tensor in open_graph.inputs[len(inputs) :])]
    found = runner.run(*(encode(x[None], spec) for x, spec in zip(values_in, runner.inputs, strict=True)))
    values = {
        tensor.name: decode(np.asarray(value), spec)
        for tensor, value, spec in zip(open_graph.outputs, found, runner.outputs, strict=True)
    }
    expected = run_all(graph, inputs)
    for op in graph.ops:
        name = op.output.name
        if different := int((values[name].reshape(-1) != expected[name].reshape(-1)).sum()):
            return f"{op.name}, where {different} of {expected[name].size} integers differ"
    return None
