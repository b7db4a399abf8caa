"""Operations that move integers about and compute none: what goes in comes out, in the same quantization."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edge_res.export.int8.ops import Int8, Sliding, Span, Tensor


@dataclass(frozen=True)
class Crop:
    """Columns `start` to `stop` (exclusive); the integers stay as they are, so does the quantization."""

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
class MaxPool(Sliding):
    """The largest integer of each `kernel` (time, bins); padding, where there is some, never is the largest."""

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
class Concat:
    """Tensors of one quantization one after the other along `axis`: 0 is time, 2 are the channels."""

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
