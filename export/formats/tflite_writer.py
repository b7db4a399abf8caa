"""Writes a graph as TFLite, int8 per channel, directly as a flatbuffer.

Input `frames` int8 `(1, frames, bins, channels)`, output `logits` int8 `(1, labels)`; the states of a step are inputs
`state.TENSOR` and outputs `next.TENSOR`, `(1, columns, bins, channels)`. Scales and zero points are those of the file's
tensors. Padding along frequency is a separate PAD, which fills in the zero point (TFLite's SAME would pad time, too).
The file loads in ai-edge-litert and in tflite-runtime 2.14.

A step may also keep its states itself, as resource variables, which XNNPACK holds without a copy: then `frames` is its
only input and `logits` its only output. The default model then takes two thirds of the time, because moving eight
states through Python costs as much as computing the hop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_res.errors import ExportError
from edge_res.export.int8.graph import LOGITS, Add, Concat, Conv, Crop, DepthwiseConv, Graph, MaxPool, Op, Tensor

_Options = schema.BuiltinOptions
_KINDS = {  # name: operator code, version, kind of options; the oldest version that takes int8 per channel
    "CONV_2D": (schema.BuiltinOperator.CONV_2D, 3, _Options.Conv2DOptions),
    "DEPTHWISE_CONV_2D": (schema.BuiltinOperator.DEPTHWISE_CONV_2D, 3, _Options.DepthwiseConv2DOptions),
    "ADD": (schema.BuiltinOperator.ADD, 2, _Options.AddOptions),
    "PAD": (schema.BuiltinOperator.PAD, 2, _Options.PadOptions),
    "CONCATENATION": (schema.BuiltinOperator.CONCATENATION, 2, _Options.ConcatenationOptions),
    "MAX_POOL_2D": (schema.BuiltinOperator.MAX_POOL_2D, 2, _Options.Pool2DOptions),
    "SLICE": (schema.BuiltinOperator.SLICE, 2, _Options.SliceOptions),
    "RESHAPE": (schema.BuiltinOperator.RESHAPE, 1, _Options.ReshapeOptions),
    "VAR_HANDLE": (schema.BuiltinOperator.VAR_HANDLE, 1, _Options.VarHandleOptions),
    "READ_VARIABLE": (schema.BuiltinOperator.READ_VARIABLE, 1, _Options.ReadVariableOptions),
    "ASSIGN_VARIABLE": (schema.BuiltinOperator.ASSIGN_VARIABLE, 1, _Options.AssignVariableOptions),
    "CALL_ONCE": (schema.BuiltinOperator.CALL_ONCE, 1, _Options.CallOnceOptions),
}
_LAST_OLD_CODE = 127  # the largest operator code in the old, one-byte field, where it means all later ones
_TYPES = {np.dtype(np.int8): schema.TensorType.INT8, np.dtype(np.int32): schema.TensorType.INT32}


def write(graph: Graph) -> bytes:
    """The TFLite file of a graph, of a window or of a step."""
    writer = _Writer([schema.BufferT()], [])  # the first buffer is empty, by convention
    sources = [writer.activation(tensor) for tensor in graph.inputs]
    sink = writer.body(graph)
    outputs = [sink, *(writer.indices[tensor.name] for tensor in graph.outputs[1:])]
    return _file([writer.subgraph("main", sources, outputs)], writer)


def write_with_variables(graph: Graph) -> bytes:
    """The TFLite file of a step that keeps its states from run to run; they begin as zeros."""
    main = _Writer([schema.BufferT()], [])
    first = _Writer(main.buffers, main.kinds)  # runs once, before everything else
    source = main.activation(graph.input)
    main.operator("CALL_ONCE", [], [], schema.CallOnceOptionsT(initSubgraphIndex=1))
    handles = [main.variable(state) for state in graph.states]
    for state, handle in zip(graph.states, handles, strict=True):
        main.operator("READ_VARIABLE", [handle], [main.activation(state)], schema.ReadVariableOptionsT())
        zeros = first.constant(f"{state.name}.zeros", np.zeros((1, *state.shape), np.int8), _quantized(state))
        first.operator("ASSIGN_VARIABLE", [first.variable(state), zeros], [], schema.AssignVariableOptionsT())
    sink = main.body(graph)
    for after, handle in zip(graph.outputs[1:], handles, strict=True):
        main.operator("ASSIGN_VARIABLE", [handle, main.indices[after.name]], [], schema.AssignVariableOptionsT())
    return _file([main.subgraph("main", [source], [sink]), first.subgraph("first", [], [])], main)


def _file(subgraphs: Sequence[Any], writer: _Writer) -> bytes:
    codes = [
        # The old, one-byte field of the code is filled in too, for old readers.
        schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, _LAST_OLD_CODE), version=version)
        for code, version, _ in (_KINDS[kind] for kind in writer.kinds)
    ]
    model = schema.ModelT(
        version=3, operatorCodes=codes, subgraphs=list(subgraphs), buffers=writer.buffers, description="edge-res"
    )
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Writer:
    """Writes a subgraph; buffers and kinds of operators are shared by the whole file.

    `indices` maps the name of a tensor of the graph to its index in the subgraph.
    """

    def __init__(self, buffers: list[Any], kinds: list[str]) -> None:
        self.buffers = buffers
        self.kinds = kinds
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.indices: dict[str, int] = {}

    def subgraph(self, name: str, inputs: list[int], outputs: list[int]) -> Any:
        return schema.SubGraphT(
            tensors=self.tensors, inputs=inputs, outputs=outputs, operators=self.operators, name=name
        )

    def body(self, graph: Graph) -> int:
        """Everything between inputs and outputs; returns the index of the logits."""
        for op in graph.ops:
            self.operation(op)
        sink = self.tensor(LOGITS, (1, graph.labels), schema.TensorType.INT8, _quantized(graph.output))
        shape = self.constant(f"{LOGITS}.shape", np.array([1, graph.labels], np.int32))
        options = schema.ReshapeOptionsT(newShape=[1, graph.labels])
        self.operator("RESHAPE", [self.indices[graph.output.name], shape], [sink], options)
        return sink

    def variable(self, state: Tensor) -> int:
        """A handle of the variable that holds a state; handles with the same name share a variable."""
        handle = self.tensor(f"{state.name}.variable", (), schema.TensorType.RESOURCE)
        self.operator("VAR_HANDLE", [], [handle], schema.VarHandleOptionsT(container="", sharedName=state.name))
        return handle

    def tensor(self, name: str, shape: Sequence[int], kind: int, quantization: Any = None, buffer: int = 0) -> int:
        self.tensors.append(
            schema.TensorT(
                shape=list(shape), type=kind, buffer=buffer, name=name, quantization=quantization, hasRank=True
            )
        )
        return len(self.tensors) - 1

    def activation(self, tensor: Tensor) -> int:
        index = self.tensor(tensor.name, (1, *tensor.shape), schema.TensorType.INT8, _quantized(tensor))
        self.indices[tensor.name] = index
        return index

    def constant(self, name: str, values: NDArray[Any], quantization: Any = None) -> int:
        self.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
        return self.tensor(name, values.shape, _TYPES[values.dtype], quantization, len(self.buffers) - 1)

    def operator(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any) -> None:
        if kind not in self.kinds:
            self.kinds.append(kind)
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=self.kinds.index(kind),
                inputs=list(inputs),
                outputs=list(outputs),
                builtinOptionsType=_KINDS[kind][2],
                builtinOptions=options,
            )
        )

    def operation(self, op: Op) -> None:
        if isinstance(op, Conv | DepthwiseConv):
            self.convolution(op)
            return
        inputs = [self.indices[tensor.name] for tensor in op.inputs]
        if isinstance(op, Add):
            self.operator("ADD", inputs, [self.activation(op.output)], schema.AddOptionsT(potScaleInt16=False))
        elif isinstance(op, Concat):
            options = schema.ConcatenationOptionsT(axis=1 if op.axis == 0 else 3)
            self.operator("CONCATENATION", inputs, [self.activation(op.output)], options)
        elif isinstance(op, MaxPool):
            if any((*op.time_padding, *op.padding)) and op.input.zero_point != -128:
                raise ExportError(f"{op.name} is padded and may see negative values; put a Relu before it.")
            options = schema.Pool2DOptionsT(padding=schema.Padding.VALID)
            options.strideH, options.strideW = op.stride
            options.filterHeight, options.filterWidth = op.kernel
            self.operator("MAX_POOL_2D", [self.padded(op)], [self.activation(op.output)], options)
        elif isinstance(op, Crop):
            begin = self.constant(f"{op.name}.begin", np.array([0, op.start, 0, 0], np.int32))
            size = self.constant(f"{op.name}.size", np.array([1, *op.output.shape], np.int32))
            self.operator("SLICE", [*inputs, begin, size], [self.activation(op.output)], schema.SliceOptionsT())

    def convolution(self, op: Conv | DepthwiseConv) -> None:
        depthwise = isinstance(op, DepthwiseConv)
        kind, options = (
            ("DEPTHWISE_CONV_2D", schema.DepthwiseConv2DOptionsT(depthMultiplier=1))
            if depthwise
            else ("CONV_2D", schema.Conv2DOptionsT())
        )
        options.padding = schema.Padding.VALID
        options.strideH, options.strideW = op.stride
        options.dilationHFactor = options.dilationWFactor = 1
        weight = op.weight[None] if depthwise else op.weight
        bias_scale = np.float32(op.input.scale) * op.weight_scale
        inputs = [
            self.padded(op),
            self.constant(f"{op.name}.weight", weight, _per_channel(op.weight_scale, 3 if depthwise else 0)),
            self.constant(f"{op.name}.bias", op.bias, _per_channel(bias_scale, 0)),
        ]
        self.operator(kind, inputs, [self.activation(op.output)], options)

    def padded(self, op: Conv | DepthwiseConv | MaxPool) -> int:
        """What an operation reads, with its padding as a separate PAD, since TFLite's SAME is not ours."""
        if not any((*op.time_padding, *op.padding)):
            return self.indices[op.input.name]
        time, bins, channels = op.input.shape
        shape = (time + sum(op.time_padding), bins + sum(op.padding), channels)
        tensor = replace(op.input, name=f"{op.name}.padded", shape=shape)
        sizes = self.constant(f"{op.name}.padding", np.array([(0, 0), op.time_padding, op.padding, (0, 0)], np.int32))
        index = self.activation(tensor)
        self.operator("PAD", [self.indices[op.input.name], sizes], [index], schema.PadOptionsT())
        return index


def _quantized(tensor: Tensor) -> Any:
    return schema.QuantizationParametersT(scale=[tensor.scale], zeroPoint=[tensor.zero_point])


def _per_channel(scale: NDArray[np.float32], axis: int) -> Any:
    return schema.QuantizationParametersT(scale=scale.tolist(), zeroPoint=[0] * len(scale), quantizedDimension=axis)
