"""Scales with which all engines add alike.

ONNX Runtime adds two quantized tensors in float32 and rounds halves to even, XNNPACK adds in 21-bit fixed point and
rounds halves up: with arbitrary scales a few sums in ten thousand differ, with a ratio of 1/2 one in six. So one addend
is written in the sum's own scale, which the convolution that makes it does for free, and the sum's scale is enlarged a
little, until the other addend's products stay away from halves. What is left to round is then far from a tie.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_res.export.int8.graph import (
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
    window_graph,
)
from edge_res.export.int8.ops import is_far_from_ties

_STEP = 2.0**-10  # relative, from one candidate for a sum's scale to the next


def sum_scale(wanted: float, addend: float) -> float:
    """The first float32 scale, from max(wanted, addend) on, in which an addend of scale `addend` is added exactly."""
    scale = max(wanted, addend)
    while not is_far_from_ties(addend / scale):
        scale = float(np.float32(scale * (1 + _STEP)))
    return scale


def exact_sums(source: Tensor, ops: Sequence[Op]) -> Graph:
    """The graph of these operations, with the scales around each `Add` moved until all engines agree."""
    readers = Counter(tensor.name for op in ops for tensor in op.inputs)
    done: list[Op] = []
    made = {source.name: source}
    for op in ops:
        if isinstance(op, Add):
            done, op = _exact_sum(done, op, [made[tensor.name] for tensor in op.inputs], readers)
            made |= {earlier.output.name: earlier.output for earlier in done}
        elif isinstance(op, Concat):
            alike = [_requantized(made[tensor.name], op, i) for i, tensor in enumerate(op.inputs)]
            done += [step for step, _ in alike if step]
            op = replace(op, inputs=tuple(tensor for _, tensor in alike))
        else:
            op = _rebase(op, made[op.inputs[0].name])
        done.append(op)
        made[op.output.name] = op.output
    return window_graph(source, done)


def _exact_sum(done: list[Op], add: Add, addends: Sequence[Tensor], readers: Counter[str]) -> tuple[list[Op], Add]:
    makers = {
        op.output.name: op for op in done if isinstance(op, Conv | DepthwiseConv) and readers[op.output.name] == 1
    }
    # If no addend can be written in the sum's scale where it is made, one more convolution does it.
    if not any(tensor.name in makers for tensor in addends):
        rescale = identity(addends[0], f"{add.name}.rescale")
        done, addends = [*done, rescale], [rescale.output, addends[1]]
        makers[rescale.output.name] = rescale
    wanted = max(add.output.scale, *(tensor.scale for tensor in addends))
    fixed = [tensor for tensor in addends if tensor.name not in makers]
    scale = sum_scale(wanted, fixed[0].scale) if fixed else wanted
    moved = {t.name: replace(makers[t.name], output=rescaled(t, scale)) for t in addends if t.name in makers}
    inputs = tuple(moved[tensor.name].output if tensor.name in moved else tensor for tensor in addends)
    done = [moved.get(op.output.name, op) for op in done]
    return done, Add(add.name, (inputs[0], inputs[1]), rescaled(add.output, scale))


def rescaled(tensor: Tensor, scale: float) -> Tensor:
    """The tensor with a larger scale and the same lower end."""
    zero_point = -128 + round((tensor.zero_point + 128) * tensor.scale / scale)
    return replace(tensor, scale=scale, zero_point=zero_point)


def identity(tensor: Tensor, name: str) -> DepthwiseConv:
    """A 1×1 depthwise convolution that changes nothing but, with another output, the quantization."""
    channels = tensor.shape[2]
    weight = np.full((1, 1, channels), 64, np.int8)
    scale = np.full(channels, 1 / 64, np.float32)
    return DepthwiseConv(name, tensor, replace(tensor, name=f"{name}.out"), weight, scale, np.zeros(channels, np.int32))


def _requantized(tensor: Tensor, op: Concat, index: int) -> tuple[Op | None, Tensor]:
    """A tensor in the quantization of a Concat's output, and the operation that requantizes it, if it needs one."""
    wanted = op.output
    if (tensor.scale, tensor.zero_point) == (wanted.scale, wanted.zero_point):
        return None, tensor
    same = identity(tensor, f"{op.name}.rescale{index}")
    output = replace(same.output, scale=wanted.scale, zero_point=wanted.zero_point)
    return replace(same, output=output), output


def _rebase(op: Op, source: Tensor) -> Op:
    """The operation with its input in a new quantization."""
    if isinstance(op, Crop | MaxPool):
        output = replace(op.output, scale=source.scale, zero_point=source.zero_point)
        return replace(op, input=source, output=output)
    if isinstance(op, Conv | DepthwiseConv):
        bias: Int32 = np.rint(op.bias * (op.input.scale / source.scale)).astype(np.int32)
        return replace(op, input=source, bias=bias)
    return op
