"""A quantized network: its operations in order, what they cost and look at, and an interpreter in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_res.errors import ExportError
from edge_res.export.ops import Add, Conv, Crop, DepthwiseConv, Float32, Int8, Int32, Op, Span, Tensor

__all__ = [
    "FRAMES",
    "LOGITS",
    "Add",
    "Conv",
    "Crop",
    "DepthwiseConv",
    "Float32",
    "Graph",
    "Int8",
    "Int32",
    "Op",
    "Span",
    "Tensor",
    "run",
    "run_all",
]

FRAMES, LOGITS = "frames", "logits"  # the names of the input and the output of every file


@dataclass(frozen=True)
class Graph:
    """Operations in order of execution, from the tensor `input` to the last one's output, `(1, 1, labels)`."""

    input: Tensor
    ops: tuple[Op, ...]

    def __post_init__(self) -> None:
        made = {self.input.name: self.input}
        if self.input.name != FRAMES or any(op.output.name in (FRAMES, LOGITS) for op in self.ops):
            raise ExportError(f"The input is {self.input.name!r}, expected {FRAMES!r}; only files have a {LOGITS!r}.")
        for op in self.ops:
            for tensor in op.inputs:
                if made.get(tensor.name) != tensor:
                    raise ExportError(f"{op.name} reads {tensor}, which nothing before it makes.")
            if op.output.name in made or op.output.shape != op.output_shape or min(op.output_shape) < 1:
                raise ExportError(f"{op.name} makes {op.output_shape}, which is no new tensor like {op.output}.")
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

    @property
    def output(self) -> Tensor:
        return self.ops[-1].output if self.ops else self.input

    @property
    def labels(self) -> int:
        return self.output.shape[2]

    @property
    def parameters(self) -> int:
        return sum(op.parameters for op in self.ops)

    @property
    def macs(self) -> int:
        """Multiplications a window."""
        return sum(op.macs for op in self.ops)

    @cached_property
    def spans(self) -> Mapping[str, Span]:
        """By the name of the tensor, what its columns look at."""
        spans = {self.input.name: Span(0, 1, 1)}
        for op in self.ops:
            spans[op.output.name] = op.span(*(spans[tensor.name] for tensor in op.inputs))
        return spans


def run(graph: Graph, windows: Int8) -> Int8:
    """Int8 windows `(n, frames, bins, channels)` to int8 logits `(n, labels)`."""
    logits: Int8 = np.stack([run_all(graph, window)[graph.output.name].reshape(-1) for window in windows])
    return logits


def run_all(graph: Graph, window: Int8) -> dict[str, Int8]:
    """Every tensor of one int8 window `(frames, bins, channels)`, by name: what to compare where an engine differs."""
    values = {graph.input.name: window}
    for op in graph.ops:
        values[op.output.name] = op.forward(*(values[tensor.name] for tensor in op.inputs))
    return values
