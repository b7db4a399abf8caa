"""Residual networks on spectrogram images, unpadded along time so that they can run on a stream.

"Deep Residual Learning for Image Recognition" (He, Zhang, Ren, Sun 2015): basic blocks (section 3.3, figure 5 left),
identity and projection shortcuts (section 3.3, option B), ReLU after the addition. Axes are
`(batch, channels, time, frequency)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu


@dataclass(frozen=True)
class ResNetShape:
    """`depth` is 6 n + 2 for n basic blocks a stage; strides are (time, frequency)."""

    depth: int
    bins: int
    channels: int
    labels: int
    frames: int
    widths: tuple[int, int, int] = (16, 32, 64)
    stem_strides: tuple[int, int] = (2, 2)
    stage_strides: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (2, 2))

    @property
    def blocks(self) -> int:
        """Basic blocks a stage."""
        return (self.depth - 2) // 6

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
        return 2 + self.stem_strides[0]

    @property
    def receptive_field(self) -> int:
        """Frames that one column of the last feature map looks at (Araujo, Norris, Sim 2019, eq. 2)."""
        field, stride = self.stem_frames, self.stem_strides[0]
        for time, _ in self.stage_strides:
            for block in range(self.blocks):
                field += 2 * stride
                stride *= time if block == 0 else 1
                field += 2 * stride
        return field


def frequency_conv(inputs: int, outputs: int, frames: int, strides: tuple[int, int]) -> nn.Conv2d:
    """`frames` × 3, unpadded along time, padded along frequency, without a bias (batch normalisation follows)."""
    return nn.Conv2d(inputs, outputs, (frames, 3), strides, padding=(0, 1), bias=False)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut, cropped along time to the columns that the convolutions are centred on."""

    def __init__(self, inputs: int, outputs: int, strides: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = frequency_conv(inputs, outputs, 3, strides)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = frequency_conv(outputs, outputs, 3, (1, 1))
        self.bn2 = nn.BatchNorm2d(outputs)
        self.time_stride = strides[0]
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or strides != (1, 1):
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, strides, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        centre = 1 + self.time_stride  # of the columns that y's first column looks at
        cropped = x[:, :, centre : centre + (y.shape[2] - 1) * self.time_stride + 1]
        return relu(y + self.shortcut(cropped))


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
        self.stem = frequency_conv(shape.channels, shape.widths[0], shape.stem_frames, shape.stem_strides)
        self.bn = nn.BatchNorm2d(shape.widths[0])
        blocks: list[nn.Module] = []
        inputs = shape.widths[0]
        bins = -(-shape.bins // shape.stem_strides[1])
        for width, (time, frequency) in zip(shape.widths, shape.stage_strides, strict=True):
            for block in range(shape.blocks):
                blocks.append(BasicBlock(inputs, width, (time, frequency) if block == 0 else (1, 1)))
                inputs = width
            bins = -(-bins // frequency)
        self.blocks = nn.Sequential(*blocks)
        columns = (shape.frames - shape.receptive_field) // shape.time_stride + 1
        self.mean_frequency = Mean(inputs, 1, bins)
        self.mean_time = Mean(inputs, columns, 1)
        self.classifier = nn.Conv2d(inputs, shape.labels, 1)
        for module in self.modules():  # He et al. 2015, "Delving Deep into Rectifiers", eq. 10
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Float `(batch, channels, frames, bins)` to logits `(batch, labels)`."""
        x = relu(self.bn(self.stem(x)))
        x = self.blocks(x)
        x = self.mean_frequency(x)
        x = self.mean_time(x)
        return torch.flatten(self.classifier(x), 1)
