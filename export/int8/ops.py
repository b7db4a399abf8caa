"""The operations of a quantized network, and the integer arithmetic that every engine must repeat.

Activations are int8 `(time, bins, channels)`: real value = (integer - zero point) · scale. Weights are int8, symmetric,
with one scale per output channel. There is no ReLU: a tensor with zero point -128 cannot hold a negative value, so the
clip at the end of each operation is the ReLU (Jacob et al. 2018, "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", section 2.4). `Conv`, `DepthwiseConv` and `Add` compute; `MaxPool`, `Crop`
and `Concat` only move integers, and keep their quantization.

`forward` is slow, obvious and right: the referee for the files that the writers make. It takes any number of columns
along time, at least `kernel_frames`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]

# How near to k + 1/2 a quotient of `Add` may come. The engines' own errors stay below: XNNPACK's 21-bit multipliers
# 255 · 2^-21, the float32 sums of ONNX Runtime and XNNPACK's bias some 2^-13.
TIE_MARGIN = 2.0**-9


@dataclass(frozen=True)
class Tensor:
    """An activation: `shape` is (time, bins, channels), `zero_point` an int8 value; `scale` is rounded to float32."""

    name: str
    shape: tuple[int, int, int]
    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(np.float32(self.scale)))  # as the files hold it


@dataclass(frozen=True)
class Span:
    """The input frames that a tensor's columns see: column j sees `frames` of them, from `start + j * stride` on."""

    start: int
    frames: int
    stride: int

    def through(self, kernel_frames: int, stride: int) -> Span:
        """The span after a kernel (Araujo, Norris, Sim 2019, "Computing Receptive Fields", eq. 1 and 2)."""
        return Span(self.start, self.frames + (kernel_frames - 1) * self.stride, self.stride * stride)


class Op(Protocol):
    """An operation; `kernel_frames` and `time_stride` are in columns of its inputs, `macs` those of a whole window."""

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> tuple[Tensor, ...]: ...
    @property
    def output(self) -> Tensor: ...
    @property
    def kernel_frames(self) -> int: ...
    @property
    def time_stride(self) -> int: ...
    @property
    def output_shape(self) -> tuple[int, int, int]: ...
    @property
    def parameters(self) -> int: ...
    @property
    def macs(self) -> int: ...

    def span(self, *inputs: Span) -> Span:
        """The span of the output, from those of the inputs."""
        ...

    def forward(self, *inputs: Int8) -> Int8:
        """Int8 `(time, bins, channels)` of each input to that of the output."""
        ...


class Sliding:
    """Operations that slide a kernel over one input: where it goes, and the size of the output."""

    input: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    time_padding: tuple[int, int]

    @property
    def kernel_size(self) -> tuple[int, int]:
        raise NotImplementedError

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.input,)

    @property
    def kernel_frames(self) -> int:
        return self.kernel_size[0]

    @property
    def time_stride(self) -> int:
        return self.stride[0]

    @property
    def output_size(self) -> tuple[int, int]:
        """Columns and bins of the output."""
        time, bins, _ = self.input.shape
        return (
            (time + sum(self.time_padding) - self.kernel_size[0]) // self.stride[0] + 1,
            (bins + sum(self.padding) - self.kernel_size[1]) // self.stride[1] + 1,
        )

    def span(self, *inputs: Span) -> Span:
        return inputs[0].through(self.kernel_frames, self.time_stride)


@dataclass(frozen=True)
class _Convolution(Sliding):
    name: str
    input: Tensor
    output: Tensor
    weight: Int8 = field(repr=False)
    weight_scale: Float32 = field(repr=False)
    bias: Int32 = field(repr=False)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    time_padding: tuple[int, int] = (0, 0)

    @property
    def kernel(self) -> tuple[int, int]:
        raise NotImplementedError

    def tap(self, columns: Int32, time: int, bin_: int) -> Int32:
        raise NotImplementedError

    @property
    def kernel_size(self) -> tuple[int, int]:
        return self.kernel

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return (*self.output_size, len(self.bias))

    @property
    def parameters(self) -> int:
        return self.weight.size + self.bias.size

    @property
    def macs(self) -> int:
        time, bins, _ = self.output.shape
        return time * bins * self.weight.size

    @property
    def multiplier(self) -> Float32:
        """From accumulator to output, float32: (input scale · weight scale) / output scale, in the engines' order."""
        product: Float32 = np.float32(self.input.scale) * self.weight_scale
        quotient: Float32 = product / np.float32(self.output.scale)
        return quotient

    def forward(self, *inputs: Int8) -> Int8:
        x = inputs[0].astype(np.int32) - np.int32(self.input.zero_point)
        x = np.pad(x, (self.time_padding, self.padding, (0, 0)))  # 0 is the real 0 here: the zero point
        (kernel_time, kernel_bins), (stride_time, stride_bins) = self.kernel, self.stride
        total = np.zeros(1, np.int32)
        for time in range(kernel_time):
            for bin_ in range(kernel_bins):
                rows = slice(time, len(x) - kernel_time + time + 1, stride_time)
                bins = slice(bin_, x.shape[1] - kernel_bins + bin_ + 1, stride_bins)
                total = total + self.tap(x[rows, bins], time, bin_)
        real = (total + self.bias).astype(np.float32) * self.multiplier
        return _to_int8(np.rint(real) + self.output.zero_point)


@dataclass(frozen=True)
class Conv(_Convolution):
    """A convolution, padded along frequency with `padding` bins and along time with `time_padding` (before, after).

    It can run on a stream only without padding along time.

    `weight` int8 `(outputs, time, bins, inputs)`; `weight_scale` float32 and `bias` int32 `(outputs,)`, the bias in
    units of input scale · weight scale; `stride` is (time, bins). It rounds halves to even.
    """

    @property
    def kernel(self) -> tuple[int, int]:
        return self.weight.shape[1], self.weight.shape[2]

    def tap(self, columns: Int32, time: int, bin_: int) -> Int32:
        product: Int32 = columns @ self.weight[:, time, bin_].T.astype(np.int32)
        return product


@dataclass(frozen=True)
class DepthwiseConv(_Convolution):
    """Like `Conv`, but each channel by itself: `weight` is int8 `(time, bins, channels)`. A mean is one of these."""

    @property
    def kernel(self) -> tuple[int, int]:
        return self.weight.shape[0], self.weight.shape[1]

    def tap(self, columns: Int32, time: int, bin_: int) -> Int32:
        product: Int32 = columns * self.weight[time, bin_].astype(np.int32)
        return product


@dataclass(frozen=True)
class MaxPool(Sliding):
    """The largest integer in each `kernel` (time, bins); padding is never the largest."""

    name: str
    input: Tensor
    output: Tensor
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    time_padding: tuple[int, int] = (0, 0)
    parameters: int = field(default=0, init=False)
    macs: int = field(default=0, init=False)

    @property
    def kernel_size(self) -> tuple[int, int]:
        return self.kernel

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return (*self.output_size, self.input.shape[2])

    def forward(self, *inputs: Int8) -> Int8:
        x = np.pad(inputs[0], (self.time_padding, self.padding, (0, 0)), constant_values=-128)
        patches = np.lib.stride_tricks.sliding_window_view(x, self.kernel, (0, 1))
        largest: Int8 = patches[:: self.stride[0], :: self.stride[1]].max((-2, -1))
        return largest


@dataclass(frozen=True)
class Add:
    """The sum of two tensors of the same shape.

    ONNX Runtime adds in float32 and rounds halves to even, XNNPACK adds in 21-bit fixed point and rounds halves up.
    They agree if no sum lies near a half: see `is_exact`, and `sums.py` for how such scales are found.
    """

    name: str
    inputs: tuple[Tensor, Tensor]
    output: Tensor
    kernel_frames: int = field(default=1, init=False)
    time_stride: int = field(default=1, init=False)
    parameters: int = field(default=0, init=False)
    macs: int = field(default=0, init=False)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return self.inputs[0].shape

    @property
    def is_exact(self) -> bool:
        """Whether all engines give the same integers for all inputs."""
        a, b = (tensor.scale / self.output.scale for tensor in self.inputs)
        return (a == 1 and is_far_from_ties(b)) or (b == 1 and is_far_from_ties(a))

    def span(self, *inputs: Span) -> Span:
        a, b = inputs
        start, end = min(a.start, b.start), max(a.start + a.frames, b.start + b.frames)
        return Span(start, end - start, a.stride)

    def forward(self, *inputs: Int8) -> Int8:
        total = np.zeros(1)
        for x, tensor in zip(inputs, self.inputs, strict=True):
            total = total + (x.astype(np.float64) - tensor.zero_point) * (tensor.scale / self.output.scale)
        return _to_int8(np.rint(total) + self.output.zero_point)


def is_far_from_ties(ratio: float) -> bool:
    """Whether integers times `ratio` stay `TIE_MARGIN` away from k + 1/2, for all differences of two int8."""
    fraction = (np.arange(256) * ratio) % 1.0
    return bool(ratio <= 1 and np.abs(fraction - 0.5).min() >= TIE_MARGIN)


@dataclass(frozen=True)
class Crop:
    """Columns `start` to `stop` (exclusive) of the input."""

    name: str
    input: Tensor
    output: Tensor
    start: int
    stop: int
    kernel_frames: int = field(default=1, init=False)
    time_stride: int = field(default=1, init=False)
    parameters: int = field(default=0, init=False)
    macs: int = field(default=0, init=False)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.input,)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return (self.stop - self.start, *self.input.shape[1:])

    def span(self, *inputs: Span) -> Span:
        (x,) = inputs
        return Span(x.start + self.start * x.stride, x.frames, x.stride)

    def forward(self, *inputs: Int8) -> Int8:
        return inputs[0][self.start : self.stop]


@dataclass(frozen=True)
class Concat:
    """Tensors of the same quantization, joined along `axis`: 0 is time, 2 the channels."""

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    axis: int = 0
    kernel_frames: int = field(default=1, init=False)
    time_stride: int = field(default=1, init=False)
    parameters: int = field(default=0, init=False)
    macs: int = field(default=0, init=False)

    @property
    def output_shape(self) -> tuple[int, int, int]:
        time, bins, channels = self.inputs[0].shape
        total = sum(tensor.shape[self.axis] for tensor in self.inputs)
        return (total, bins, channels) if self.axis == 0 else (time, bins, total)

    def span(self, *inputs: Span) -> Span:
        start = min(span.start for span in inputs)
        return Span(start, max(span.start + span.frames for span in inputs) - start, inputs[0].stride)

    def forward(self, *inputs: Int8) -> Int8:
        return np.concatenate(inputs, self.axis)


def _to_int8(real: NDArray[Any]) -> Int8:
    integers: Int8 = np.clip(real, -128, 127).astype(np.int8)
    return integers
