"""Writes a graph as ONNX that ONNX Runtime fuses whole into integer kernels.

Activations are uint8: the graph's int8 plus 128, because on x86 ONNX Runtime leaves int8 convolutions in float. Weights
stay int8. The form is QDQ: each operation in float between DequantizeLinear and QuantizeLinear, which ONNX Runtime
replaces by QLinearConv and QLinearAdd.

Input `frames` uint8 `(1, frames, bins, channels)`, output `logits` uint8 `(1, labels)`. In ONNX these have no scale,
so the file's metadata `edge_res.tensors` holds JSON: `{"frames": {"scale": 0.05, "zero_point": 128}, "logits": {...}}`,
with the zero points of the uint8.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_res import __version__
from edge_res.engines.onnxruntime import METADATA_KEY
from edge_res.export.graph import FRAMES, LOGITS, Add, Conv, Crop, DepthwiseConv, Graph, Tensor

OPSET = 17
IR_VERSION = 8  # of opset 17: what onnxruntime 1.23 and older load


def write_window(graph: Graph) -> bytes:
    """The ONNX file of a graph that computes whole windows."""
    writer = _Writer()
    source = graph.input
    frames, bins, channels = source.shape
    if channels == 1:  # the same bytes in the same order
        writer.constant(f"{FRAMES}.shape", np.array([1, 1, frames, bins]))
        writer.node("Reshape", [FRAMES, f"{FRAMES}.shape"], f"{FRAMES}.channels_first")
    else:
        writer.node("Transpose", [FRAMES], f"{FRAMES}.channels_first", perm=[0, 3, 1, 2])
    writer.integers[FRAMES] = f"{FRAMES}.channels_first"
    writer.quantization(source)
    for op in graph.ops:
        writer.operation(op)
    writer.constant(f"{LOGITS}.shape", np.array([1, graph.labels]))
    writer.node("Reshape", [writer.integers[graph.output.name], f"{LOGITS}.shape"], LOGITS)
    return writer.finish(graph)


class _Writer:
    """`integers` maps a tensor of the graph to the name of its uint8 values in the file."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.integers: dict[str, str] = {}

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name or f"{output}.{kind}", **attributes))
        return output

    def quantization(self, tensor: Tensor) -> None:
        self.constant(f"{tensor.name}.scale", np.array(tensor.scale, np.float32))
        self.constant(f"{tensor.name}.zero_point", np.array(tensor.zero_point + 128, np.uint8))

    def real(self, tensor: Tensor, reader: str) -> str:
        """The tensor dequantized, once for each reader, so that every DequantizeLinear vanishes into its reader."""
        inputs = [self.integers[tensor.name], f"{tensor.name}.scale", f"{tensor.name}.zero_point"]
        return self.node("DequantizeLinear", inputs, f"{tensor.name}.for.{reader}")

    def quantized(self, real: str, tensor: Tensor) -> None:
        self.quantization(tensor)
        inputs = [real, f"{tensor.name}.scale", f"{tensor.name}.zero_point"]
        self.integers[tensor.name] = self.node("QuantizeLinear", inputs, tensor.name)

    def operation(self, op: Any) -> None:
        if isinstance(op, Crop):
            names = [self.constant(f"{op.name}.{name}", np.array([value])) for name, value in _bounds(op)]
            self.integers[op.output.name] = self.node(
                "Slice", [self.integers[op.input.name], *names], op.output.name, op.name
            )
            self.quantization(op.output)
        elif isinstance(op, Add):
            reals = [self.real(tensor, f"{op.name}.{side}") for side, tensor in zip("ab", op.inputs, strict=True)]
            self.quantized(self.node("Add", reals, f"{op.output.name}.real", op.name), op.output)
        else:
            self.convolution(op)

    def convolution(self, op: Conv | DepthwiseConv) -> None:
        depthwise = isinstance(op, DepthwiseConv)
        weight = op.weight.transpose(2, 0, 1)[:, None] if depthwise else op.weight.transpose(0, 3, 1, 2)
        weight_scale = self.constant(f"{op.name}.weight.scale", op.weight_scale)
        bias_scale = self.constant(f"{op.name}.bias.scale", np.float32(op.input.scale) * op.weight_scale)
        reals = [
            self.real(op.input, op.name),
            self.node(
                "DequantizeLinear",
                [self.constant(f"{op.name}.weight", np.ascontiguousarray(weight)), weight_scale],
                f"{op.name}.weight.real",
                axis=0,
            ),
            self.node(
                "DequantizeLinear",
                [self.constant(f"{op.name}.bias", op.bias), bias_scale],
                f"{op.name}.bias.real",
                axis=0,
            ),
        ]
        before, after = op.padding
        attributes = {
            "kernel_shape": list(op.kernel),
            "strides": list(op.stride),
            "pads": [0, before, 0, after],
            "group": len(op.bias) if depthwise else 1,
        }
        self.quantized(self.node("Conv", reals, f"{op.output.name}.real", op.name, **attributes), op.output)

    def finish(self, graph: Graph) -> bytes:
        source = helper.make_tensor_value_info(FRAMES, TensorProto.UINT8, [1, *graph.input.shape])
        sink = helper.make_tensor_value_info(LOGITS, TensorProto.UINT8, [1, graph.labels])
        body = helper.make_graph(self.nodes, "window", [source], [sink], self.constants)
        model = helper.make_model(
            body,
            producer_name="edge-res",
            producer_version=__version__,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        tensors = {FRAMES: graph.input, LOGITS: graph.output}
        scales = {name: {"scale": t.scale, "zero_point": t.zero_point + 128} for name, t in tensors.items()}
        helper.set_model_props(model, {METADATA_KEY: json.dumps(scales)})
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def _bounds(op: Crop) -> tuple[tuple[str, int], ...]:
    return ("start", op.start), ("stop", op.stop), ("axis", 2)
