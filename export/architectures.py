"""From a name to a network: the one list of architectures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import nn

from edge_res.errors import ConfigError
from edge_res.export.nets import Dense, ResNet, ResNetShape

CIFAR_DEPTHS = (8, 14, 20, 32, 44, 56, 110, 1202)
NAMES = (*(f"resnet{depth}" for depth in CIFAR_DEPTHS), *(f"plain{depth}" for depth in CIFAR_DEPTHS), "svm")


class Network(Protocol):
    """A network to be: what it looks at, in frames, and itself."""

    @property
    def frames(self) -> int: ...
    @property
    def receptive_field(self) -> int: ...
    @property
    def time_stride(self) -> int: ...
    def build(self) -> nn.Module: ...


@dataclass(frozen=True)
class DenseNetwork:
    """A weight for each value of the window, as the `svm` has."""

    frames: int
    bins: int
    channels: int
    labels: int
    time_stride: int = 1

    @property
    def receptive_field(self) -> int:
        return self.frames

    def build(self) -> nn.Module:
        return Dense(self.bins, self.channels, self.labels, self.frames)


@dataclass(frozen=True)
class ThreeStages:
    """A network of section 4.2: three stages."""

    shape: ResNetShape

    @property
    def frames(self) -> int:
        return self.shape.frames

    @property
    def receptive_field(self) -> int:
        return self.shape.receptive_field if self.shape.time_padding == "valid" else 1

    @property
    def time_stride(self) -> int:
        return self.shape.time_stride

    def build(self) -> nn.Module:
        return ResNet(self.shape)


def network(
    name: str,
    frames: int,
    bins: int,
    channels: int,
    labels: int,
    time_padding: Literal["valid", "same"] = "valid",
    **three_stages: Any,
) -> Network:
    """The network of a name; `three_stages` are the fields of `ResNetShape` that such a network may have otherwise."""
    if name == "svm":
        return DenseNetwork(frames, bins, channels, labels)
    found = re.fullmatch(r"(resnet|plain)(\d+)", name)
    if name not in NAMES or not found:
        raise ConfigError(f"There is no architecture {name!r}; known are {', '.join(NAMES)}.")
    shape = ResNetShape(
        int(found[2]), bins, channels, labels, frames, shortcuts=found[1] == "resnet", time_padding=time_padding,
        **three_stages,
    )  # fmt: skip
    return ThreeStages(shape)
