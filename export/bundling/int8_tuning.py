"""Tuning of a quantized graph: with all its rounding, it learns to answer as the float network does.

Quantization-aware training (Jacob et al. 2018, section 3) of weights and biases on the graph that will run, not on an
approximation of it: scales and zero points stay, each integer is the one that the engines compute, and the gradient
goes straight through the rounding. It learns the float network's scores (Hinton et al. 2015, "Distilling the Knowledge
in a Neural Network"), so it needs no labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edge_res.export.bundling.answers import quantized
from edge_res.export.int8.graph import Add, Concat, Conv, Crop, DepthwiseConv, Graph, MaxPool, Op, window_graph
from edge_res.flow import Frames

_BATCH = 32
_STEP = 0.05  # of Adam at the start: for a weight in its own steps, for a bias in steps of its convolution's output


class RoundedGraph(nn.Module):
    """A graph computed in float, giving the same integers, whose weights and biases can learn.

    Values are integers less their zero point, `(batch, channels, time, bins)`. `weights` are integers once rounded;
    `biases` are in steps of the output. Depthwise convolutions, which are means, do not learn.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.convolutions = [op for op in graph.ops if isinstance(op, Conv)]
        self.weights = nn.ParameterList(weights_of(op) for op in self.convolutions)
        self.biases = nn.ParameterList(bias_of(op) for op in self.convolutions)

    def forward(self, x: Tensor) -> Tensor:
        """Integers less their zero point to logits `(batch, labels)`, in real units."""
        learning = zip(self.weights, self.biases, strict=True)
        values = {self.graph.input.name: x}
        for op in self.graph.ops:
            inputs = [values[tensor.name] for tensor in op.inputs]
            if isinstance(op, Conv):
                weight, bias = next(learning)
                y = convolved(op, inputs[0], rounded(weight).clamp(-127, 127), bias)
            else:
                y = computed(op, inputs)
            values[op.output.name] = y
        output = self.graph.output
        return torch.flatten(values[output.name], 1) * output.scale

    def learned(self) -> Graph:
        """The graph with the weights and biases as they are now."""
        ops = {op.output.name: op for op in self.graph.ops}
        for op, weight, bias in zip(self.convolutions, self.weights, self.biases, strict=True):
            integers = weight.detach().round().clamp(-127, 127).permute(0, 2, 3, 1).numpy()
            steps = np.rint(bias.detach().numpy() / op.multiplier.astype(np.float64))
            ops[op.output.name] = replace(
                op, weight=np.ascontiguousarray(integers, np.int8), bias=steps.astype(np.int32)
            )
        return window_graph(self.graph.input, list(ops.values()))


def weights_of(op: Conv | DepthwiseConv) -> Tensor:
    """The weights as PyTorch takes them, `(outputs, inputs, time, bins)`."""
    outputs_first = op.weight if isinstance(op, Conv) else op.weight.transpose(2, 0, 1)[..., None]
    return torch.from_numpy(outputs_first.astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def bias_of(op: Conv | DepthwiseConv) -> Tensor:
    """The bias in steps of the output."""
    return torch.from_numpy((op.bias * op.multiplier).astype(np.float32))


def computed(op: Op, inputs: list[Tensor]) -> Tensor:
    """The output of an operation that does not learn."""
    x = inputs[0]
    if isinstance(op, DepthwiseConv):
        return convolved(op, x, weights_of(op), bias_of(op))
    if isinstance(op, Add):
        a, b = (value * (tensor.scale / op.output.scale) for value, tensor in zip(inputs, op.inputs, strict=True))
        return clipped(op, a + b)
    if isinstance(op, Crop):
        return x[:, :, op.start : op.stop]
    if isinstance(op, MaxPool):
        least = -128 - op.input.zero_point
        return functional.max_pool2d(
            functional.pad(x, (*op.padding, *op.time_padding), value=least), op.kernel, op.stride
        )
    assert isinstance(op, Concat)
    return torch.cat(inputs, {0: 2, 2: 1}[op.axis])


def convolved(op: Conv | DepthwiseConv, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As `op.forward`, in the same order, so that halves are equal too."""
    multiplier = torch.from_numpy(op.multiplier)
    x = functional.pad(x, (*op.padding, *op.time_padding))
    total = functional.conv2d(x, weight, stride=op.stride, groups=x.shape[1] // weight.shape[1])
    total = total + rounded(bias / multiplier)[:, None, None]
    return clipped(op, total * multiplier[:, None, None])


def clipped(op: Op, real: Tensor) -> Tensor:
    """Rounded to the output's integers, less its zero point."""
    zero_point = op.output.zero_point
    return rounded(real).clamp(-128 - zero_point, 127 - zero_point)


def rounded(x: Tensor) -> Tensor:
    """x rounded, halves to even; the gradient is that of x."""
    return x + (x.round() - x).detach()


def tune(
    graph: Graph,
    windows: Callable[[int], Frames],
    answers: Callable[[Frames], NDArray[np.float32]],
    epochs: int,
    step: float = _STEP,
) -> Graph:
    """The graph, tuned to give the float network's `answers`, logits `(n, labels)`, for the `windows` of each epoch.

    Windows are `(n, frames, bins, channels)`, the same number in each epoch.
    """
    net = RoundedGraph(graph)
    optimizer = torch.optim.Adam(net.parameters(), step)
    for epoch in range(epochs):
        frames = windows(epoch)
        x = integers_of(graph, frames)
        scores = torch.softmax(torch.from_numpy(answers(frames)), 1)
        starts = range(0, len(x), _BATCH)
        for n, start in enumerate(starts):
            progress = (epoch + n / len(starts)) / epochs
            for group in optimizer.param_groups:
                group["lr"] = step * (0.5 + 0.5 * math.cos(math.pi * progress))
            loss = functional.cross_entropy(net(x[start : start + _BATCH]), scores[start : start + _BATCH])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return net.learned()


def integers_of(graph: Graph, frames: Frames) -> Tensor:
    """Windows `(n, frames, bins, channels)` as `RoundedGraph` takes them."""
    x = quantized(frames, graph).astype(np.float32) - graph.input.zero_point
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
