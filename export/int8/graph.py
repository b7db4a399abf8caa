"""A quantized network: its operations in order, their cost and spans, and an interpreter in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_res.errors import ExportError
from edge_res.export.int8.ops import (
    Add,
    Concat,
    Conv,
    Crop,
    DepthwiseConv,
    Float32,
    Int8,
    Int32,
    MaxPool,
    Op,
    Span,
    Tensor,
)

__all__ = [
    "FRAMES",
    "LOGITS",
    "Add",
    "Concat",
    "Conv",
    "Crop",
    "DepthwiseConv",
    "Float32",
    "Graph",
    "Int8",
    "Int32",
    "MaxPool",
    "Op",
    "Span",
    "Tensor",
    "run",
    "run_all",
    "window_graph",
]

FRAMES, LOGITS = "frames", "logits"  # the names of the input and the output of every file


@dataclass(frozen=True)
class Graph:
    """Operations in order of execution, from `inputs` to `outputs`.

    The first input is the `frames`, the first output the logits, `(1, 1, labels)`. A step graph has its states as
    further inputs and their next values as further outputs, in the same order.
    """

    inputs: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    outputs: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        made = {tensor.name: tensor for tensor in self.inputs}
        if self.input.name != FRAMES or any(op.output.name in (FRAMES, LOGITS) for op in self.ops):
            raise ExportError(
                f"The input is {self.input.name!r}, expected {FRAMES!r}, and no operation may make "
                f"{FRAMES!r} or {LOGITS!r}."
            )
        for op in self.ops:
            for tensor in op.inputs:
                if made.get(tensor.name) != tensor:
                    raise ExportError(f"{op.name} reads {tensor}, which no operation before it makes.")
            if op.output.name in made or op.output.shape != op.output_shape or min(op.output_shape) < 1:
                raise ExportError(f"{op.name} makes {op.output_shape}, which is not a new tensor like {op.output}.")
            if isinstance(op, Add) and not op.is_exact:
                raise ExportError(
                    f"{op.name} would round differently in different engines: {op.inputs} to {op.output}."
                )
            made[op.output.name] = op.output
        if not self.ops or self.output.shape[:2] != (1, 1):
            raise ExportError(
                f"The network ends with {self.output.shape} (time, bins, channels), expected (1, 1, labels): "
                "end it with means over frequency and time and a 1×1 convolution."
            )
        if any(made.get(tensor.name) != tensor for tensor in self.outputs):
            raise ExportError("An output of the network is not made by any of its operations.")

    @property
    def input(self) -> Tensor:
        return self.inputs[0]

    @property
    def output(self) -> Tensor:
        return self.outputs[0]

    @property
    def states(self) -> tuple[Tensor, ...]:
        return self.inputs[1:]

    @property
    def window_only(self) -> str:
        """Why there is no step graph; empty if there is one."""
        for op in self.ops:
            if any(getattr(op, "time_padding", ())):
                return (
                    f"{op.name} is padded along time by {op.time_padding} columns, but a stream has no edge to pad, so "  # type: ignore[attr-defined]
                    "earlier columns cannot be reused in the next window"
                )
            strides = [self.spans[tensor.name].stride for tensor in op.inputs]
            if len(set(strides)) > 1 and op.output.shape[0] > 1:
                return (
                    f"{op.name} joins columns that are {' and '.join(map(str, strides))} frames apart, and a stream "
                    "brings more of one kind than of the other"
                )
        return ""

    @property
    def labels(self) -> int:
        return self.output.shape[2]

    @property
    def parameters(self) -> int:
        return sum(op.parameters for op in self.ops)

    @property
    def macs(self) -> int:
        """Multiplications per run: for a window, or for a hop."""
        return sum(op.macs for op in self.ops)

    @cached_property
    def spans(self) -> Mapping[str, Span]:
        """By tensor name, the input frames that its columns see."""
        spans = {tensor.name: Span(0, 1, 1) for tensor in self.inputs}
        for op in self.ops:
            spans[op.output.name] = op.span(*(spans[tensor.name] for tensor in op.inputs))
        return spans


def window_graph(source: Tensor, ops: Sequence[Op]) -> Graph:
    """The graph that computes a whole window: from `source` to the output of the last operation."""
    return Graph((source,), tuple(ops), (ops[-1].output if ops else source,))


def run(graph: Graph, windows: Int8) -> Int8:
    """Int8 windows `(n, frames, bins, channels)` to int8 logits `(n, labels)`."""
    logits: Int8 = np.stack([run_all(graph, [window])[graph.output.name].reshape(-1) for window in windows])
    return logits


def run_all(graph: Graph, inputs: Sequence[Int8]) -> dict[str, Int8]:
    """Every tensor of one run, int8 `(time, bins, channels)`, by name, to find where an engine differs."""
    values = {tensor.name: value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    for op in graph.ops:
        values[op.output.name] = op.forward(*(values[tensor.name] for tensor in op.inputs))
    return values
