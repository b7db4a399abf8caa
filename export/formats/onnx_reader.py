"""Reads a quantized ONNX file, in QuantizeLinear / DequantizeLinear form, into a `Graph`.

The file has one float input `(1, channels, frames, bins)` and one output `(1, labels)`; each activation is followed by
an 8-bit QuantizeLinear, each weight is 8-bit and constant. What cannot become a graph is refused by name, with the
reason and the fix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from edge_res.errors import ExportError
from edge_res.export.formats.onnx_dense import dense_weight
from edge_res.export.formats.onnx_nodes import (
    Node,
    attributes_of,
    check_kinds,
    convert_constant,
    load_onnx,
    name_of,
    pads_of,
    title_of,
)
from edge_res.export.formats.onnx_pooling import mean_of, pooling_of
from edge_res.export.int8.graph import (
    FRAMES,
    LOGITS,
    Add,
    Concat,
    Conv,
    Crop,
    DepthwiseConv,
    Graph,
    Int32,
    MaxPool,
    Op,
    Tensor,
)
from edge_res.export.int8.sums import exact_sums, identity


@dataclass(frozen=True)
class _Constant:
    """Values as the file holds them; quantized ones less their zero point, with one `scale` per slice of `axis`."""

    values: NDArray[Any]
    scale: NDArray[np.float32] | None = None
    axis: int = 0


def read_qdq(model: bytes) -> Graph:
    """The graph of a QDQ ONNX file; raises `ExportError`, which says what cannot be exported and why."""
    proto = load_onnx(model)
    check_kinds(proto.graph.node)
    reader = _Reader(proto.graph)
    for node in proto.graph.node:
        reader.visit(node)
    return exact_sums(reader.source, reader.finish(proto.graph.output[0].name))


class _Reader:
    """`tensors` maps each computed name in the file, float or quantized, to the activation that it stands for."""

    def __init__(self, graph: Any) -> None:
        self.constants = {array.name: _Constant(numpy_helper.to_array(array)) for array in graph.initializer}
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []
        self.readers: dict[str, list[Node]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
            if node.op_type == "Constant":
                self.constants[node.output[0]] = _Constant(numpy_helper.to_array(attributes_of(node)["value"]))
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            found = f"{len(inputs)} inputs and {len(graph.output)} outputs"
            raise ExportError(f"The network has {found}, expected one of each.")
        shape = tuple(dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim)
        if len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
            raise ExportError(
                f"The network's input {inputs[0].name} has the shape {shape}, expected (1, channels, frames, bins), "
                "all of them fixed; export it without dynamic axes."
            )
        _, channels, frames, bins = shape
        self.source = self.settle(inputs[0].name, Tensor(FRAMES, (frames, bins, channels), 1.0, 0))

    def finish(self, output: str) -> list[Op]:
        last = self.tensors.get(output)
        if last is None or not self.ops or last != self.ops[-1].output:
            raise ExportError(f"The network's output {output} is not what its last operation computes.")
        if last.name == LOGITS:
            self.ops[-1] = _with_output(self.ops[-1], replace(last, name=f"{LOGITS}.unflattened"))
        return self.ops

    def visit(self, node: Node) -> None:
        kind = node.op_type
        if (
            kind == "Constant" or node.output[0] in self.tensors
        ):  # in the latter case the operation before it took it in
            return
        if kind in ("QuantizeLinear", "DequantizeLinear") and node.input[0] in self.constants:
            self.constants[node.output[0]] = self.converted(node)
        elif kind in ("DequantizeLinear", "Identity", "Dropout"):
            self.tensors[node.output[0]] = self.tensor(node, 0)
        elif kind == "QuantizeLinear":
            self.quantize(node)
        elif kind == "Relu":
            self.emit(node, identity(self.tensor(node, 0), name_of(node)), relu=True)
        elif kind == "Conv":
            self.emit(node, self.convolution(node))
        elif kind == "Add":
            a, b = self.tensor(node, 0), self.tensor(node, 1)
            if a.shape != b.shape:
                raise ExportError(
                    f"{title_of(node)} adds {a.shape} and {b.shape} (time, bins, channels); crop both to one shape."
                )
            self.emit(node, Add(name_of(node), (a, b), a))
        elif kind == "Slice":
            self.crop(node)
        elif kind == "MaxPool":
            self.max_pool(node)
        elif kind in ("AveragePool", "GlobalAveragePool"):
            self.emit(node, mean_of(node, self.tensor(node, 0)))
        elif kind in ("Gemm", "MatMul"):
            self.emit(node, self.dense(node))
        elif kind == "Concat":
            self.emit(node, self.concat(node))
        else:  # Flatten, Reshape, Squeeze
            self.flatten(node)

    def tensor(self, node: Node, index: int) -> Tensor:
        name = node.input[index]
        if name not in self.tensors:
            raise ExportError(
                f"{title_of(node)} reads the constant {name}, expected something that the network computes."
            )
        return self.tensors[name]

    def settle(self, name: str, tensor: Tensor, relu: bool = False) -> Tensor:
        """Give the value `name` the quantization that follows it; a ReLU in between becomes part of that."""
        names, readers = [name], self.readers.get(name, [])
        while len(readers) == 1 and readers[0].op_type == "Relu":
            relu, name = True, readers[0].output[0]
            names, readers = [*names, name], self.readers.get(name, [])
        quantizers = [node for node in readers if node.op_type == "QuantizeLinear"]
        if not quantizers or len(quantizers) < len(readers):
            raise ExportError(
                f"The value {name} is used in float, expected a QuantizeLinear: quantize the whole network."
            )
        scale, zero_point = self.quantization(quantizers[0])
        if relu:
            scale, zero_point = scale * (127 - zero_point) / 255, -128
        tensor = replace(tensor, scale=scale, zero_point=zero_point)
        self.tensors.update(dict.fromkeys([*names, quantizers[0].output[0]], tensor))
        return tensor

    def quantization(self, node: Node) -> tuple[float, int]:
        """Scale and int8 zero point of an activation's QuantizeLinear."""
        scale = self.constant(node, 1).values
        zero = self.constant(node, 2).values if len(node.input) > 2 else np.zeros(1, np.uint8)
        if scale.size != 1 or zero.dtype not in (np.int8, np.uint8):
            raise ExportError(
                f"{title_of(node)} gives {zero.dtype} with {scale.size} scales, expected 8 bits and one scale."
            )
        return float(scale.flat[0]), int(zero.flat[0]) - (128 if zero.dtype == np.uint8 else 0)

    def quantize(self, node: Node) -> None:
        source = self.tensor(node, 0)
        if self.quantization(node) == (source.scale, source.zero_point):
            self.tensors[node.output[0]] = source
        else:  # quantized a second time, and differently
            op = identity(source, name_of(node))
            scale, zero_point = self.quantization(node)
            output = replace(op.output, name=node.output[0], scale=scale, zero_point=zero_point)
            self.append(node.output[0], replace(op, output=output))

    def emit(self, node: Node, op: Op, relu: bool = False) -> None:
        """Append an operation, with its output quantized as in the file."""
        output = Tensor(node.output[0], op.output_shape, 1.0, 0)
        if min(output.shape) < 1:
            raise ExportError(
                f"{title_of(node)} would have {output.shape} outputs (time, bins, channels): use a longer window."
            )
        self.append(node.output[0], _with_output(op, self.settle(node.output[0], output, relu)))

    def append(self, name: str, op: Op) -> None:
        self.ops.append(op)
        self.tensors[name] = op.output

    def constant(self, node: Node, index: int) -> _Constant:
        name = node.input[index]
        if name not in self.constants:
            raise ExportError(f"{title_of(node)} reads {name}, which is computed; expected a constant.")
        return self.constants[name]

    def converted(self, node: Node) -> _Constant:
        """The constant that a QuantizeLinear (of float) or a DequantizeLinear gives."""
        zero = self.constant(node, 2).values if len(node.input) > 2 else np.zeros(1, np.int8)
        return _Constant(*convert_constant(node, self.constant(node, 0).values, self.constant(node, 1).values, zero))

    def convolution(self, node: Node) -> Conv | DepthwiseConv:
        source, attributes = self.tensor(node, 0), attributes_of(node)
        constant = self.constant(node, 1)
        weight, scale = constant.values, constant.scale
        if weight.ndim != 4 or scale is None or np.abs(weight).max(initial=0) > 128 or weight.max(initial=0) > 127:
            raise ExportError(
                f"{title_of(node)} has no 8-bit symmetric 2-D weights; quantize with symmetric int8 weights."
            )
        outputs = len(weight)
        time_before, before, time_after, after = pads_of(node, attributes)
        if set(attributes.get("dilations", [1])) != {1}:
            raise ExportError(
                f"{title_of(node)} is dilated by {attributes['dilations']}, expected 1; use a larger kernel."
            )
        groups, inputs = int(attributes.get("group", 1)), source.shape[2]
        if groups not in (1, inputs) or (groups > 1 and outputs != inputs):
            raise ExportError(f"{title_of(node)} has {groups} groups of {inputs} channels, expected 1 or {inputs}.")
        scale = np.broadcast_to(scale, outputs).copy()
        time_stride, stride = attributes.get("strides", [1, 1])
        depthwise = groups > 1 or inputs == outputs == 1
        layout = weight[:, 0].transpose(1, 2, 0) if depthwise else weight.transpose(0, 2, 3, 1)
        kind = DepthwiseConv if depthwise else Conv
        return kind(
            name=name_of(node),
            input=source,
            output=source,
            weight=np.ascontiguousarray(layout, np.int8),
            weight_scale=scale,
            bias=self.bias(node, source.scale * scale.astype(np.float64)),
            stride=(time_stride, stride),
            padding=(before, after),
            time_padding=(time_before, time_after),
        )

    def flatten(self, node: Node) -> None:
        """A new shape for the same values; if there are several columns or bins, only a Gemm may follow."""
        source = self.tensor(node, 0)
        if source.shape[:2] != (1, 1):
            shape = self.constant(node, 1).values.tolist() if node.op_type == "Reshape" else [1, -1]
            if node.op_type == "Squeeze" or len(shape) != 2 or int(attributes_of(node).get("axis", 1)) != 1:
                raise ExportError(
                    f"{title_of(node)} reshapes {source.shape} (time, bins, channels), expected to (1, values)."
                )
        self.tensors[node.output[0]] = source

    def max_pool(self, node: Node) -> None:
        source = self.tensor(node, 0)
        kernel, stride, time_padding, padding = pooling_of(node)
        op = MaxPool(name_of(node), source, source, kernel, stride, padding, time_padding)
        output = replace(source, name=node.output[0], shape=op.output_shape)
        self.append(node.output[0], replace(op, output=output))

    def dense(self, node: Node) -> Conv:
        source, constant = self.tensor(node, 0), self.constant(node, 1)
        if constant.scale is None:
            raise ExportError(
                f"{title_of(node)} has weights in float, expected 8-bit ones: quantize the whole network."
            )
        weight, scale = dense_weight(node, source, constant.values, constant.scale, constant.axis)
        bias = self.bias(node, source.scale * scale.astype(np.float64))
        return Conv(name_of(node), source, source, weight, scale, bias)

    def concat(self, node: Node) -> Concat:
        parts = tuple(self.tensor(node, index) for index in range(len(node.input)))
        if int(attributes_of(node)["axis"]) % 4 != 1 or len({part.shape[:2] for part in parts}) > 1:
            shapes = [part.shape for part in parts]
            raise ExportError(f"{title_of(node)} joins {shapes} (time, bins, channels), expected along the channels.")
        return Concat(name_of(node), parts, parts[0], axis=2)

    def bias(self, node: Node, units: NDArray[np.float64]) -> Int32:
        if len(node.input) < 3 or not node.input[2]:
            return np.zeros(len(units), np.int32)
        constant = self.constant(node, 2)
        real = constant.values * (1.0 if constant.scale is None else constant.scale.astype(np.float64))
        limits = np.iinfo(np.int32)
        return np.clip(np.rint(real / units), limits.min, limits.max).astype(np.int32)

    def crop(self, node: Node) -> None:
        source = self.tensor(node, 0)
        starts, stops = (self.constant(node, index).values.tolist() for index in (1, 2))
        axes = (
            self.constant(node, 3).values.tolist() if len(node.input) > 3 and node.input[3] else [*range(len(starts))]
        )
        steps = self.constant(node, 4).values.tolist() if len(node.input) > 4 else [1] * len(starts)
        if [axis % 4 for axis in axes] != [2] or steps != [1]:
            raise ExportError(
                f"{title_of(node)} slices the axes {axes} by steps {steps}, expected time (axis 2) by step 1."
            )
        start, stop, _ = slice(starts[0], stops[0]).indices(source.shape[0])
        output = replace(source, name=node.output[0], shape=(stop - start, *source.shape[1:]))
        self.append(node.output[0], Crop(name_of(node), source, output, start, stop))


def _with_output(op: Op, output: Tensor) -> Op:
    changed: Op = replace(op, output=output)  # type: ignore[type-var]
    return changed
