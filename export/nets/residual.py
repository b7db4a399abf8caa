"""Residual networks on spectrogram images, unpadded along time so that they can run on a stream.

"Deep Residual Learning for Image Recognition" (He, Zhang, Ren, Sun 2015): the networks of three stages of section 4.2,
and the parts that they share with those of four stages (`imagenet.py`): basic and bottleneck blocks (figure 5),
identity and projection shortcuts (section 3.3, options A and B), ReLU after the addition. Axes are
`(batch, channels, time, frequency)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, relu

TimePadding = Literal["valid", "same"]
Shortcuts = Literal["projection", "identity", "none"]


class Style(Protocol):
    """What all blocks of a network have in common.

    Padded along time (`same`) or not (`valid`); where a block changes width or size, its shortcut is a `projection`
    (option B) or an `identity` (option A); `none` has no shortcuts at all.
    """

    @property
    def time_padding(self) -> TimePadding: ...
    @property
    def shortcuts(self) -> Shortcuts: ...


@dataclass(frozen=True)
class ResNetShape:
    """`depth` is 6 n + 2 for n basic blocks per stage, 9 n + 2 for n bottleneck blocks; strides are (time, frequency).

    With `time_padding="valid"` a network can run on a stream; with `"same"`, as in the paper, only on whole windows.
    `shortcuts="none"` makes the plain network of the same depth. With `bottleneck`, `widths` are those of the 3×3
    convolutions, and the blocks' outputs are four times as wide. The paper's networks have stem strides (1, 1), stage
    strides (1, 1), (2, 2), (2, 2) and identity shortcuts.
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
    shortcuts: Shortcuts = "projection"
    time_padding: TimePadding = "valid"

    @property
    def blocks(self) -> int:
        """Blocks per stage."""
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

        Even if the stem halves the frame rate: then the receptive field is a multiple of the time stride, as the hop
        is, and the first score comes after exactly `frames` frames.
        """
        return 3 if self.time_padding == "same" else 2 + self.stem_strides[0]

    @property
    def receptive_field(self) -> int:
        """Frames that one column of the last feature map sees, padding included."""
        kind = Bottleneck if self.bottleneck else BasicBlock
        times = [time for time, _ in self.stage_strides]
        stem = [(self.stem_frames, self.stem_strides[0])]
        return receptive_field(stem + layers_of(kind, [self.blocks] * len(times), times))

    @property
    def columns(self) -> int:
        """Columns of the last feature map."""
        if self.time_padding == "same":
            return -(-self.frames // self.time_stride)
        return (self.frames - self.receptive_field) // self.time_stride + 1


def receptive_field(layers: Iterable[tuple[int, int]]) -> int:
    """Columns that one column after layers of (kernel, stride) sees (Araujo, Norris, Sim 2019, eq. 2)."""
    field = stride = 1
    for kernel, step in layers:
        field += (kernel - 1) * stride
        stride *= step
    return field


def conv(
    inputs: int, outputs: int, kernel: tuple[int, int], strides: tuple[int, int], time_padding: TimePadding
) -> nn.Conv2d:
    """A convolution padded along frequency, along time only if wanted; no bias (batch normalisation follows)."""
    padding = (kernel[0] // 2 if time_padding == "same" else 0, kernel[1] // 2)
    return nn.Conv2d(inputs, outputs, kernel, strides, padding, bias=False)


class Widening(nn.Module):
    """A strided identity with zeros in the new channels (section 3.3, option A).

    It is a convolution of zeros and ones, as it will be in the quantized graph.
    """

    weight: Tensor

    def __init__(self, inputs: int, outputs: int, strides: tuple[int, int]) -> None:
        super().__init__()
        self.strides = strides
        self.register_buffer("weight", torch.eye(outputs, inputs)[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, stride=self.strides)


class Shortcut(nn.Module):
    """Identity; if width or size change, a projection or an identity with zeros (section 3.3, options B and A).

    `first` is the input column that the block's first output column is centred on: what unpadded convolutions cut off
    at both ends is cropped here, so that columns that belong together are added. Padded ones cut nothing off: 0.
    """

    def __init__(self, inputs: int, outputs: int, strides: tuple[int, int], first: int, shortcuts: Shortcuts) -> None:
        super().__init__()
        self.first = first
        self.time_stride = strides[0]
        self.projection: nn.Module = nn.Identity()
        if inputs != outputs or strides != (1, 1):
            self.projection = (
                nn.Sequential(nn.Conv2d(inputs, outputs, 1, strides, bias=False), nn.BatchNorm2d(outputs))
                if shortcuts == "projection"
                else Widening(inputs, outputs, strides)
            )

    def forward(self, x: Tensor, columns: int) -> Tensor:
        if self.first:
            x = x[:, :, self.first : self.first + (columns - 1) * self.time_stride + 1]
        projected: Tensor = self.projection(x)
        return projected


class BasicBlock(nn.Module):
    """Two 3×3 convolutions (figure 5, left)."""

    expansion = 1
    kernels = (3, 3)

    def __init__(self, inputs: int, width: int, strides: tuple[int, int], style: Style) -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, (3, 3), strides, style.time_padding)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, (3, 3), (1, 1), style.time_padding)
        self.bn2 = nn.BatchNorm2d(width)
        first = 0 if style.time_padding == "same" else 1 + strides[0]
        self.shortcut = Shortcut(inputs, width, strides, first, style.shortcuts) if style.shortcuts != "none" else None

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return relu(y + self.shortcut(x, y.shape[2]) if self.shortcut else y)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, the last one four times as wide (figure 5, right).

    The first one has the stride, as in the paper, whose 3.9 G multiply-adds for a ResNet-50 are counted that way. Later
    implementations (torchvision) put the stride into the 3×3 convolution, for 4.1 G and the same parameters.
    """

    expansion = 4
    kernels = (1, 3, 1)

    def __init__(self, inputs: int, width: int, strides: tuple[int, int], style: Style) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, strides, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, (3, 3), (1, 1), style.time_padding)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        first = 0 if style.time_padding == "same" else strides[0]
        self.shortcut = (
            Shortcut(inputs, outputs, strides, first, style.shortcuts) if style.shortcuts != "none" else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        y = relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return relu(y + self.shortcut(x, y.shape[2]) if self.shortcut else y)


BlockKind = type[BasicBlock] | type[Bottleneck]


def stage(
    kind: BlockKind, inputs: int, width: int, blocks: int, strides: tuple[int, int], style: Style
) -> nn.Sequential:
    """Blocks of one width; the first of them has the strides."""
    first = kind(inputs, width, strides, style)
    return nn.Sequential(first, *(kind(width * kind.expansion, width, (1, 1), style) for _ in range(1, blocks)))


def layers_of(kind: BlockKind, blocks: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """(kernel, stride) along time of all convolutions of some stages: the first of a stage has its stride."""
    layers = []
    for count, stride in zip(blocks, strides, strict=True):
        layers += [(kernel, 1) for kernel in kind.kernels * count]
        layers[-count * len(kind.kernels)] = (kind.kernels[0], stride)
    return layers


class Mean(nn.Module):
    """Mean over a rectangle as a depthwise convolution: engines agree on a convolution's rounding, not on a pool's."""

    weight: Tensor

    def __init__(self, channels: int, frames: int, bins: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.full((channels, 1, frames, bins), 1 / (frames * bins)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, groups=x.shape[1])


class ResNet(nn.Module):
    """Stem, three stages, mean over frequency, mean over time, a 1×1 convolution as the classifier."""

    def __init__(self, shape: ResNetShape) -> None:
        super().__init__()
        kind = Bottleneck if shape.bottleneck else BasicBlock
        inputs, bins = shape.widths[0], -(-shape.bins // shape.stem_strides[1])
        self.stem = conv(shape.channels, inputs, (shape.stem_frames, 3), shape.stem_strides, shape.time_padding)
        self.bn = nn.BatchNorm2d(inputs)
        self.blocks = nn.Sequential()
        for width, strides in zip(shape.widths, shape.stage_strides, strict=True):
            self.blocks.extend(stage(kind, inputs, width, shape.blocks, strides, shape))
            inputs, bins = width * kind.expansion, -(-bins // strides[1])
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
    """One weight per bin and frame, as in a linear support vector machine: a convolution over the whole window."""

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
