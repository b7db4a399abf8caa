"""Random quantized networks, drawn directly: no training, no quantizer, milliseconds each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_res.engines import Runner
from edge_res.export.int8.graph import FRAMES, Add, Conv, Crop, DepthwiseConv, Graph, Int8, Op, Tensor
from edge_res.export.int8.sums import exact_sums


class Builder:
    """Appends operations with random weights; each method returns the new tensor."""

    def __init__(self, rng: np.random.Generator, source: Tensor, dyadic: bool = False) -> None:
        self.rng = rng
        self.source = source
        self.ops: list[Op] = []
        self.dyadic = dyadic  # scales are powers of two: many accumulators then lie on a tie

    def scale(self, near: float) -> float:
        if self.dyadic:
            return float(2.0 ** np.round(np.log2(near)))
        return float(np.float32(near * 2 ** self.rng.uniform(-1, 1)))

    def zero_point(self) -> int:
        return int(self.rng.choice([-128, 0, int(self.rng.integers(-128, 128))]))

    def append(self, op: Op) -> Tensor:
        self.ops.append(op)
        return op.output

    def conv(
        self, x: Tensor, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        name = f"conv{len(self.ops)}"
        weight = self.rng.integers(-127, 128, (outputs, *kernel, x.shape[2])).astype(np.int8)
        near = np.array([self.scale(1 / 512) for _ in range(outputs)], np.float32)
        bias = self.rng.integers(-(1 << 13), 1 << 13, outputs).astype(np.int32)
        scale = self.scale(x.scale / 512 * 64 * weight[0].size ** 0.5)
        out = Tensor(f"{name}.out", x.shape, scale, self.zero_point())
        op = Conv(name, x, out, weight, near, bias, stride, padding)
        return self.append(replace(op, output=replace(out, shape=op.output_shape)))

    def depthwise(
        self, x: Tensor, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0)
    ) -> Tensor:
        name, channels = f"depthwise{len(self.ops)}", x.shape[2]
        weight = self.rng.integers(-127, 128, (*kernel, channels)).astype(np.int8)
        near = np.array([self.scale(1 / 512) for _ in range(channels)], np.float32)
        bias = self.rng.integers(-(1 << 13), 1 << 13, channels).astype(np.int32)
        out = Tensor(
            f"{name}.out", x.shape, self.scale(x.scale / 8 * (weight.size / channels) ** 0.5), self.zero_point()
        )
        op = DepthwiseConv(name, x, out, weight, near, bias, stride, padding)
        return self.append(replace(op, output=replace(out, shape=op.output_shape)))

    def crop(self, x: Tensor, start: int, columns: int) -> Tensor:
        name = f"crop{len(self.ops)}"
        out = replace(x, name=f"{name}.out", shape=(columns, *x.shape[1:]))
        return self.append(Crop(name, x, out, start, start + columns))

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        name = f"add{len(self.ops)}"
        out = Tensor(f"{name}.out", a.shape, self.scale((a.scale**2 + b.scale**2) ** 0.5), self.zero_point())
        return self.append(Add(name, (a, b), out))

    def finish(self, x: Tensor, labels: int, dense: bool = False) -> Graph:
        if dense:  # as a linear classifier sees it: all columns and bins at once
            self.conv(x, labels, x.shape[:2], (1, 1), (0, 0))
            return exact_sums(self.source, self.ops)
        x = self.depthwise(x, (1, x.shape[1]))
        x = self.depthwise(x, (x.shape[0], 1))
        self.conv(x, labels, (1, 1), (1, 1), (0, 0))
        return exact_sums(self.source, self.ops)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Residual, plain and depthwise blocks, strided or not, cropped or projected shortcuts, 1 to 8 channels in."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames, bins, channels = 4 * draw(st.integers(4, 9)), draw(st.integers(3, 9)), draw(st.integers(1, 8))
    source = Tensor(
        FRAMES, (frames, bins, channels), float(np.float32(rng.uniform(0.01, 0.1))), int(rng.integers(-128, 128))
    )
    net = Builder(rng, source, draw(st.booleans()))
    pads, strides = st.tuples(st.integers(0, 1), st.integers(0, 1)), st.tuples(st.integers(1, 2), st.integers(1, 2))
    x = net.conv(source, draw(st.integers(1, 9)), (draw(st.integers(1, 4)), 3), draw(strides), (1, 1))
    for kind in draw(st.lists(st.sampled_from(["plain", "depthwise", "residual"]), max_size=3)):
        time, stride = draw(st.integers(1, 3)), draw(strides)
        if x.shape[0] < 6:
            break
        kernel_bins = min(draw(st.integers(1, 3)), x.shape[1])
        if kind == "plain":
            x = net.conv(x, draw(st.integers(1, 9)), (time, kernel_bins), stride, draw(pads))
        elif kind == "depthwise":
            x = net.depthwise(x, (time, kernel_bins), stride, draw(pads))
        else:
            x = _residual(net, x, draw(st.integers(1, 9)), time, stride, draw(st.booleans()))
    return net.finish(x, draw(st.integers(1, 5)), draw(st.booleans()))


def _residual(net: Builder, x: Tensor, outputs: int, time: int, stride: tuple[int, int], identity: bool) -> Tensor:
    if identity:
        outputs, stride = x.shape[2], (1, 1)
    y = net.conv(x, outputs, (time, 3), stride, (1, 1))
    y = net.conv(y, outputs, (1, 3), (1, 1), (1, 1))
    columns = (y.shape[0] - 1) * stride[0] + 1
    shortcut = net.crop(x, (x.shape[0] - columns) // 2, columns)
    if not identity:
        shortcut = net.conv(shortcut, outputs, (1, 1), stride, (0, 0))
    a, b = (y, shortcut) if net.rng.random() < 0.5 else (shortcut, y)
    return net.add(a, b)


def windows(graph: Graph, count: int, seed: int = 0) -> Int8:
    """Int8 windows over the whole range, `(count, frames, bins, channels)`."""
    rng = np.random.default_rng(seed)
    drawn: Int8 = rng.integers(-128, 128, (count, *graph.input.shape)).astype(np.int8)
    return drawn


def logits_of(runner: Runner, frames: Int8) -> NDArray[np.int8]:
    """What an engine answers, as int8, whichever of int8 and uint8 the file takes."""
    dtype = runner.inputs[0].dtype
    shift = 128 if dtype == np.uint8 else 0
    answers = [runner.run((window[None].astype(np.int16) + shift).astype(dtype))[0][0] for window in frames]
    logits: Int8 = (np.stack(answers).astype(np.int16) - shift).astype(np.int8)
    return logits
