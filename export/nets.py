"""Residual networks on spectrogram images, unpadded along time so that they can run on a stream.

"Deep Residual Learning for Image Recognition" (He, Zhang, Ren, Sun 2015): basic blocks (section 3.3, figure 5 left),
identity and projection shortcuts (section 3.3, option B), ReLU after the addition. Axes are
`(batch, channels, time, frequency)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu


@dataclass(frozen=True)
class ResNetShape:
    """`depth` is 6 n + 2 for n basic blocks a stage, 9 n + 2 for n bottleneck blocks; strides are (time, frequency).

    With `time_padding="valid"` a network can run on a stream; with `"same"`, as in the paper, only on whole windows.
    `shortcuts=False` makes the plain network of the same depth. With `bottleneck`, `widths` are those of the 3×3
    convolutions, and the blocks' outputs are four times as wide.
    """

    depth: int
    bins: int
    channels: int
    labels: int
    frames: int
    widths: tuple[int, int, int] = (16, 32, 64)
    stem_strides: tuple[int, int] = (2, 2)
    stage_strides: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (2, 2))
    bottleneck: bool = False
    shortcuts: bool = True
    time_padding: Literal["valid", "same"] = "valid"

    @property
    def blocks(self) -> int:
        """Blocks a stage."""
        return (self.depth - 2) // (9 if self.bottleneck else 6)

    @property
    def time_stride(self) -> int:
        """Frames that one column of the last feature map stands for."""
        stride = self.stem_strides[0]
        for time, _ in self.stage_strides:
            stride *= time
        return stride

    @property
    def stem_frames(self) -> int:
        """Length of the stem's kernel along time.

        Even where the stem halves the frame rate: then the receptive field is a multiple of the time stride like the
        hop is, and the first score comes after exactly `frames` frames.
        """
        return 3 if self.time_padding == "same" else 2 + self.stem_strides[0]

    @property
    def receptive_field(self) -> int:
        """Frames that one column of the last feature map looks at (Araujo, Norris, Sim 2019, eq. 2)."""
        field, stride = self.stem_frames, self.stem_strides[0]
        for time, _ in self.stage_strides:
            for block in range(self.blocks):
                field += 2 * stride
                stride *= time if block == 0 else 1
                field += 0 if self.bottleneck else 2 * stride
        return field

    @property
    def columns(self) -> int:
        """Columns of the last feature map."""
        if self.time_padding == "same":
            return -(-self.frames // self.time_stride)
        return (self.frames - self.receptive_field) // self.time_stride + 1


def conv(inputs: int, outputs: int, frames: int, strides: tuple[int, int], shape: ResNetShape) -> nn.Conv2d:
    """`frames` × 3, padded along frequency, along time only if wanted; no bias (batch normalisation follows)."""
    padding = (frames // 2 if shape.time_padding == "same" else 0, 1)
    return nn.Conv2d(inputs, outputs, (frames, 3), strides, padding, bias=False)


class Shortcut(nn.Module):
    """Identity, or a projection where width or size change (section 3.3, option B).

    `first` is the input column that the block's first output column is centred on: what the unpadded convolutions have
    cut off before and behind is cropped here, so that the sum is of columns that belong together.
    """

    def __init__(self, inputs: int, outputs: int, strides: tuple[int, int], first: int) -> None:
        super().__init__()
        self.first = first
        self.time_stride = strides[0]
        self.projection: nn.Module = nn.Identity()
        if inputs != outputs or strides != (1, 1):
            self.projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1, strides, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor, columns: int) -> Tensor:
        cropped = x[:, :, self.first : self.first + (columns - 1) * self.time_stride + 1]
        projected: Tensor = self.projection(cropped)
        return projected


class BasicBlock(nn.Module):
    """Two 3×3 convolutions (figure 5, left)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, strides: tuple[int, int], shape: ResNetShape) -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, 3, strides, shape)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, (1, 1), shape)
        self.bn2 = nn.BatchNorm2d(width)
        centre = 0 if shape.time_padding == "same" else 1 + strides[0]
        self.shortcut = Shortcut(inputs, width, strides, centre) if shape.shortcuts else None

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return relu(y + self.shortcut(x, y.shape[2]) if self.shortcut else y)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, the last one four times as wide (figure 5, right)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, strides: tuple[int, int], shape: ResNetShape) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, strides, shape)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        centre = 0 if shape.time_padding == "same" else 1
        self.shortcut = Shortcut(inputs, outputs, strides, centre) if shape.shortcuts else None

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return relu(y + self.shortcut(x, y.shape[2]) if self.shortcut else y)


class Mean(nn.Module):
    """Mean over a rectangle as a depthwise convolution: engines agree on a convolution's rounding, not on a pool's."""

    weight: Tensor

    def __init__(self, channels: int, frames: int, bins: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.full((channels, 1, frames, bins), 1 / (frames * bins)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight, groups=x.shape[1])


class ResNet(nn.Module):
    """Stem, three stages, mean over frequency, mean over time, a 1×1 convolution as the classifier."""

    def __init__(self, shape: ResNetShape) -> None:
        super().__init__()
        kind = Bottleneck if shape.bottleneck else BasicBlock
        self.stem = conv(shape.channels, shape.widths[0], shape.stem_frames, shape.stem_strides, shape)
        self.bn = nn.BatchNorm2d(shape.widths[0])
        blocks: list[nn.Module] = []
        inputs = shape.widths[0]
        bins = -(-shape.bins // shape.stem_strides[1])
        for width, (time, frequency) in zip(shape.widths, shape.stage_strides, strict=True):
            for block in range(shape.blocks):
                blocks.append(kind(inputs, width, (time, frequency) if block == 0 else (1, 1), shape))
                inputs = width * kind.expansion
            bins = -(-bins // frequency)
        self.blocks = nn.Sequential(*blocks)
        self.mean_frequency = Mean(inputs, 1, bins)
        self.mean_time = Mean(inputs, shape.columns, 1)
        self.classifier = nn.Conv2d(inputs, shape.labels, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Float `(batch, channels, frames, bins)` to logits `(batch, labels)`."""
        x = relu(self.bn(self.stem(x)))
        x = self.blocks(x)
        x = self.mean_frequency(x)
        x = self.mean_time(x)
        return torch.flatten(self.classifier(x), 1)


class Dense(nn.Module):
    """A weight for each bin of each frame, as a linear support vector machine has: one convolution over all."""

    def __init__(self, bins: int, channels: int, labels: int, frames: int) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(channels, labels, (frames, bins))

    def forward(self, x: Tensor) -> Tensor:
        """Float `(batch, channels, frames, bins)` to logits `(batch, labels)`."""
        return torch.flatten(self.classifier(x), 1)


def initialise(net: nn.Module) -> None:
    """Weights as in He, Zhang, Ren, Sun 2015, "Delving Deep into Rectifiers", eq. 10."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
