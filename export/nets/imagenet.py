"""The networks of Table 1 of "Deep Residual Learning" (He, Zhang, Ren, Sun 2015), for images of any size.

Made of the blocks of `residual.py`. Axes are `(batch, channels, time, frequency)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from edge_res.export.nets.residual import (
    BasicBlock,
    BlockKind,
    Bottleneck,
    Mean,
    Shortcuts,
    TimePadding,
    conv,
    initialise,
    layers_of,
    receptive_field,
    stage,
)

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)
TIME_STRIDE = 32  # and stride along frequency: 2 in the stem, the pool and each stage but the first


@dataclass(frozen=True)
class ImageNetShape:
    """`depth` is one of `BLOCKS`: basic blocks up to 34 layers, then bottlenecks.

    With `time_padding="same"`, as in the paper, a network runs on whole windows only. With `"valid"`, stem, pool and
    blocks are unpadded along time and it can run on a stream, but it sees at least 435 frames. `shortcuts` are those of
    `ResNetShape`; the paper's parameters and multiply-adds are those with projections.
    """

    depth: int
    bins: int
    channels: int
    labels: int
    frames: int
    time_padding: TimePadding = "same"
    shortcuts: Shortcuts = "projection"

    @property
    def kind(self) -> BlockKind:
        return BasicBlock if self.depth < 50 else Bottleneck

    @property
    def blocks(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return BLOCKS[self.depth]

    @property
    def time_stride(self) -> int:
        """Frames that one column of the last feature map stands for."""
        return TIME_STRIDE

    @property
    def receptive_field(self) -> int:
        """Frames that one column of the last feature map sees, padding included."""
        return receptive_field([(7, 2), (3, 2), *layers_of(self.kind, self.blocks, (1, 2, 2, 2))])

    @property
    def columns(self) -> int:
        """Columns of the last feature map."""
        if self.time_padding == "same":
            return -(-self.frames // self.time_stride)
        return (self.frames - self.receptive_field) // self.time_stride + 1


class ImageNetResNet(nn.Module):
    """Stem, max-pool, four stages, mean over frequency, mean over time, a 1×1 convolution as the classifier."""

    def __init__(self, shape: ImageNetShape) -> None:
        super().__init__()
        kind, (first, second, third, fourth) = shape.kind, shape.blocks
        outputs = WIDTHS[-1] * kind.expansion
        self.stem = conv(shape.channels, 64, (7, 7), (2, 2), shape.time_padding)
        self.bn = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, (1 if shape.time_padding == "same" else 0, 1))
        self.stage1 = stage(kind, 64, 64, first, (1, 1), shape)
        self.stage2 = stage(kind, 64 * kind.expansion, 128, second, (2, 2), shape)
        self.stage3 = stage(kind, 128 * kind.expansion, 256, third, (2, 2), shape)
        self.stage4 = stage(kind, 256 * kind.expansion, 512, fourth, (2, 2), shape)
        self.mean_frequency = Mean(outputs, 1, -(-shape.bins // TIME_STRIDE))
        self.mean_time = Mean(outputs, shape.columns, 1)
        self.classifier = nn.Conv2d(outputs, shape.labels, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Float `(batch, channels, frames, bins)` to logits `(batch, labels)`."""
        x = relu(self.bn(self.stem(x)))
        x = self.pool(x)
        x = self.stage1(x)
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.mean_frequency(x)
        x = self.mean_time(x)
        return torch.flatten(self.classifier(x), 1)
