"""From a name to a network: the one list of architectures."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from edge_res.errors import ConfigError
from edge_res.export.nets.imagenet import BLOCKS, ImageNetResNet, ImageNetShape
from edge_res.export.nets.residual import Dense, ResNet, ResNetShape, TimePadding

CIFAR_DEPTHS = (8, 14, 20, 32, 44, 56, 110, 1202)
DEPTHS = (*CIFAR_DEPTHS, *BLOCKS)
NAMES = (*(f"resnet{depth}" for depth in DEPTHS), *(f"plain{depth}" for depth in DEPTHS), "svm")


@dataclass(frozen=True)
class Network:
    """A network that can be built, for windows of `frames`.

    A window needs at least `receptive_field` frames: what one column of the last feature map sees, rounded up to a
    multiple of the time stride, or 1 if padding along time makes up for the rest. The last feature map has `columns`
    columns, `time_stride` frames apart.
    """

    frames: int
    receptive_field: int
    time_stride: int
    columns: int
    build: Callable[[], nn.Module]


def network(
    name: str,
    frames: int,
    bins: int,
    channels: int,
    labels: int,
    time_padding: TimePadding = "valid",
    widths: tuple[int, int, int] = ResNetShape.widths,
    stem_strides: tuple[int, int] = ResNetShape.stem_strides,
    stage_strides: tuple[tuple[int, int], ...] = ResNetShape.stage_strides,
) -> Network:
    """The network of a name; raises `ConfigError` for an unknown one.

    `resnet18` to `resnet152` are those of Table 1 (`imagenet.py`), the other depths those of section 4.2
    (`residual.py`); only the latter take `widths` and strides. `plain…` are the same networks without shortcuts.
    """
    if name not in NAMES:
        raise ConfigError(f"There is no architecture {name!r}; choose from {', '.join(NAMES)}.")
    if name == "svm":
        return Network(frames, frames, 1, 1, partial(Dense, bins, channels, labels, frames))
    kind, depth = re.findall(r"[a-z]+|\d+", name)
    shape = ResNetShape(
        int(depth),
        bins,
        channels,
        labels,
        frames,
        widths,
        stem_strides,
        stage_strides,
        shortcuts="projection" if kind == "resnet" else "none",
        time_padding=time_padding,
    )
    if int(depth) in CIFAR_DEPTHS:
        return network_of(shape, partial(ResNet, shape))
    large = ImageNetShape(shape.depth, bins, channels, labels, frames, time_padding, shape.shortcuts)
    return network_of(large, partial(ImageNetResNet, large))


def network_of(shape: ResNetShape | ImageNetShape, build: Callable[[], nn.Module]) -> Network:
    """The network of a shape."""
    stride = shape.time_stride
    least = 1 if shape.time_padding == "same" else -(-shape.receptive_field // stride) * stride
    return Network(shape.frames, least, stride, shape.columns, build)
