"""Writes a graph as ONNX that ONNX Runtime fuses completely into integer kernels.

Activations are uint8: the graph's int8 plus 128, because on x86 ONNX Runtime leaves int8 convolutions in float. Weights
stay int8. The form is QDQ: each operation in float between DequantizeLinear and QuantizeLinear, which ONNX Runtime
replaces by QLinearConv and QLinearAdd.

Input `frames` uint8 `(1, frames, bins, channels)`, output `logits` uint8 `(1, labels)`; the states of a step are inputs
`state.TENSOR` and outputs `next.TENSOR`, `(1, columns, bins, channels)`. In ONNX these have no scale, so the file's
metadata `edge_res.tensors` holds JSON: `{"frames": {"scale": 0.05, "zero_point": 128}, "logits": {...}}`, with the zero
points of the uint8 values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_res.engines.onnxruntime import METADATA_KEY
from edge_res.export.int8.graph import LOGITS, Add, Concat, Conv, Crop, DepthwiseConv, Graph, MaxPool, Tensor
from edge_res.version import __version__

OPSET = 17
IR_VERSION = 8  # the one of opset 17, which onnxruntime 1.23 and older load


def write(graph: Graph) -> bytes:
    """The ONNX file of a graph, of a window or of a step."""
    writer = _Writer(graph)
    for tensor in graph.inputs:
        writer.source(tensor)
    for op in graph.ops:
        writer.operation(op)
    writer.constant(f"{LOGITS}.shape", np.array([1, graph.labels]))
    # ONNX Runtime computes with channels last, so the logits need no copy in this order.
    last = writer.node("Transpose", [writer.integers[graph.output.name]], f"{LOGITS}.channels_last", perm=[0, 2, 3, 1])
    writer.node("Reshape", [last, f"{LOGITS}.shape"], LOGITS)
    for tensor in graph.outputs[1:]:
        writer.node("Transpose", [writer.integers[tensor.name]], tensor.name, perm=[0, 2, 3, 1])
    return writer.finish(graph)


class _Writer:
    """`integers` maps a tensor of the graph to the name of its uint8 values in the file."""

    def __init__(self, graph: Graph) -> None:
        self.outputs = {tensor.name for tensor in graph.outputs[1:]}
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.integers: dict[str, str] = {}

    def inner(self, tensor: Tensor) -> str:
        """The name of a tensor's values where they are computed, channels first."""
        return f"{tensor.name}.channels_first" if tensor.name in self.outputs else tensor.name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name or f"{output}.{kind}", **attributes))
        return output

    def source(self, tensor: Tensor) -> None:
        """An input: channels last, as in TFLite, so that time is the outermost axis and cutting needs no copy."""
        name = self.node("Transpose", [tensor.name], f"{tensor.name}.channels_first", perm=[0, 3, 1, 2])
        self.integers[tensor.name] = name
        self.quantization(tensor)

    def quantization(self, tensor: Tensor) -> None:
        self.constant(f"{tensor.name}.scale", np.array(tensor.scale, np.float32))
        self.constant(f"{tensor.name}.zero_point", np.array(tensor.zero_point + 128, np.uint8))

    def real(self, tensor: Tensor, reader: str) -> str:
        """The tensor dequantized, once for each reader, so that each DequantizeLinear is fused into its reader."""
        inputs = [self.integers[tensor.name], f"{tensor.name}.scale", f"{tensor.name}.zero_point"]
        return self.node("DequantizeLinear", inputs, f"{tensor.name}.for.{reader}")

    def quantized(self, real: str, tensor: Tensor) -> None:
        self.quantization(tensor)
        inputs = [real, f"{tensor.name}.scale", f"{tensor.name}.zero_point"]
        self.integers[tensor.name] = self.node("QuantizeLinear", inputs, self.inner(tensor))

    def operation(self, op: Any) -> None:
        if isinstance(op, Crop):
            names = [self.constant(f"{op.name}.{name}", np.array([value])) for name, value in _bounds(op)]
            self.moved(op, "Slice", [self.integers[op.input.name], *names])
        elif isinstance(op, MaxPool):
            pads = [op.time_padding[0], op.padding[0], op.time_padding[1], op.padding[1]]
            source = [self.integers[op.input.name]]
            self.moved(op, "MaxPool", source, kernel_shape=list(op.kernel), strides=list(op.stride), pads=pads)
        elif isinstance(op, Concat):
            parts = [self.integers[tensor.name] for tensor in op.inputs]
            self.moved(op, "Concat", parts, axis=2 if op.axis == 0 else 1)
        elif isinstance(op, Add):
            reals = [self.real(tensor, f"{op.name}.{side}") for side, tensor in zip("ab", op.inputs, strict=True)]
            self.quantized(self.node("Add", reals, f"{op.output.name}.real", op.name), op.output)
        else:
            self.convolution(op)

    def moved(self, op: Crop | MaxPool | Concat, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        """An operation that only moves integers, and works on them as they are."""
        self.integers[op.output.name] = self.node(kind, inputs, self.inner(op.output), op.name, **attributes)
        self.quantization(op.output)

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
        (time_before, time_after), (before, after) = op.time_padding, op.padding
        attributes = {
            "kernel_shape": list(op.kernel),
            "strides": list(op.stride),
            "pads": [time_before, before, time_after, after],
            "group": len(op.bias) if depthwise else 1,
        }
        self.quantized(self.node("Conv", reals, f"{op.output.name}.real", op.name, **attributes), op.output)

    def finish(self, graph: Graph) -> bytes:
        sources = {tensor.name: tensor for tensor in graph.inputs}
        sinks = {LOGITS: graph.output, **{tensor.name: tensor for tensor in graph.outputs[1:]}}
        inputs = [_value(name, (1, *tensor.shape)) for name, tensor in sources.items()]
        outputs = [_value(name, (1, *t.shape) if name != LOGITS else (1, graph.labels)) for name, t in sinks.items()]
        body = helper.make_graph(self.nodes, "step" if graph.states else "window", inputs, outputs, self.constants)
        model = helper.make_model(
            body,
            producer_name="edge-res",
            producer_version=__version__,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        scales = {name: {"scale": t.scale, "zero_point": t.zero_point + 128} for name, t in (sources | sinks).items()}
        helper.set_model_props(model, {METADATA_KEY: json.dumps(scales)})
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def _value(name: str, shape: tuple[int, ...]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.UINT8, shape)


def _bounds(op: Crop) -> tuple[tuple[str, int], ...]:
    return ("start", op.start), ("stop", op.stop), ("axis", 2)
