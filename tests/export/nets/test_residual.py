"""Shapes, receptive fields, and the residual block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import ConfigError
from edge_res.export.bundling.material import to_onnx
from edge_res.export.formats.quantize import quantize
from edge_res.export.int8.graph import Conv
from edge_res.export.nets.residual import BasicBlock, Bottleneck, ResNet, ResNetShape
from edge_res.export.training.runs import Run, network_of
from edge_res.export.training.settings import Net, Spectrogram, TrainSettings

SHAPE = ResNetShape(8, 40, 1, 12, frames=136)
PAPER = ResNetShape(
    20, 32, 3, 10, 32, (16, 32, 64), (1, 1), ((1, 1), (2, 2), (2, 2)), shortcuts="identity", time_padding="same"
)


def first_column(shape: ResNetShape) -> tuple[int, int]:
    """First and last frame that the first column of the last feature map depends on, found by gradients."""
    seen = set()
    for _ in range(4):  # in one network a ReLU may hide a frame
        net = ResNet(shape).double().eval()
        x = torch.randn(1, shape.channels, shape.frames, shape.bins, dtype=torch.float64, requires_grad=True)
        y = net.blocks(torch.relu(net.bn(net.stem(x))))
        y[:, :, 0].sum().backward()
        seen |= set(x.grad[0].abs().sum((0, 2)).nonzero().flatten().tolist())
        assert y.shape[2] == (shape.frames - shape.receptive_field) // shape.time_stride + 1
    return min(seen), max(seen)


@pytest.mark.parametrize("depth", [8, 14])
@pytest.mark.parametrize("stem", [(1, 2), (2, 2)])
@pytest.mark.parametrize("strides", [((1, 1), (1, 2), (2, 2)), ((1, 1), (2, 2), (2, 2)), ((1, 1), (1, 2), (1, 2))])
def test_the_receptive_field_is_what_the_network_sees(
    depth: int, stem: tuple[int, int], strides: tuple[tuple[int, int], ...]
) -> None:
    shape = ResNetShape(depth, 40, 2, 5, frames=136, widths=(4, 4, 8), stem_strides=stem, stage_strides=strides)
    assert first_column(shape) == (0, shape.receptive_field - 1)


@pytest.mark.parametrize("stem", [(1, 2), (2, 2)])
def test_the_receptive_field_of_bottlenecks_too(stem: tuple[int, int]) -> None:
    shape = ResNetShape(11, 40, 2, 5, frames=136, widths=(4, 4, 8), stem_strides=stem, bottleneck=True)
    assert first_column(shape) == (0, shape.receptive_field - 1)


@pytest.mark.parametrize(
    "shape",
    [
        replace(SHAPE, time_padding="same"),
        replace(SHAPE, shortcuts="none"),
        replace(SHAPE, depth=11, bottleneck=True),
        replace(SHAPE, depth=20, channels=8),
    ],
)
def test_every_kind_maps_images_to_logits(shape: ResNetShape) -> None:
    net = ResNet(shape).eval()
    assert net(torch.zeros(2, shape.channels, 136, 40)).shape == (2, 12)
    assert shape.time_padding == "valid" or net.blocks(torch.relu(net.stem(torch.zeros(1, 1, 136, 40)))).shape[2] == 34


@pytest.mark.parametrize(
    ("depth", "parameters"), [(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.7"), (1202, "19.4")]
)
def test_parameters_are_as_published(depth: int, parameters: str) -> None:
    """Table 6 of the paper, in millions."""
    with torch.device("meta"):
        net = ResNet(replace(PAPER, depth=depth))
    digits = len(parameters.split(".")[1])
    assert f"{sum(p.numel() for p in net.parameters()) / 1e6:.{digits}f}" == parameters


@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_an_identity_shortcut_takes_every_second_value_and_adds_empty_channels(kind: Any, padding: Any) -> None:
    block = kind(3, 8 // kind.expansion, (2, 2), replace(PAPER, time_padding=padding)).eval()
    torch.nn.init.zeros_((block.conv2 if kind is BasicBlock else block.conv3).weight)
    x = torch.rand(2, 3, 21, 9)
    cut = 0 if padding == "same" else 3 if kind is BasicBlock else 2
    columns = x[:, :, cut : 21 - cut : 2, ::2]
    widened = torch.cat([columns, torch.zeros(2, 5, *columns.shape[2:])], 1)
    torch.testing.assert_close(block(x), widened, rtol=0, atol=0)


def test_an_identity_shortcut_is_exported_as_zeros_and_ones() -> None:
    torch.manual_seed(0)
    shape = ResNetShape(8, 40, 1, 3, 40, (4, 8, 8), shortcuts="identity")
    run = Run(TrainSettings(frames=40), Spectrogram().params(), ("a", "b", "c"), ResNet(shape).eval(), "", {}, {})
    graph = quantize(to_onnx(run), np.random.default_rng(0).normal(0, 1, (4, 40, 40, 1)).astype(np.float32))
    shortcuts = [op for op in graph.ops if isinstance(op, Conv) and op.kernel == (1, 1) and op.stride != (1, 1)]
    assert [(op.stride, op.weight.shape) for op in shortcuts] == [((1, 2), (8, 1, 1, 4)), ((2, 2), (8, 1, 1, 8))]
    for op in shortcuts:
        real = op.weight[:, 0, 0] * op.weight_scale[:, None]
        np.testing.assert_allclose(real, np.eye(8, real.shape[1]), rtol=1e-6)
        assert not op.bias.any()


def test_a_plain_network_has_no_shortcuts() -> None:
    plain = ResNet(replace(SHAPE, depth=14, shortcuts="none"))
    assert not any("shortcut" in name for name in plain.state_dict())


def test_a_bottleneck_with_zero_weights_passes_its_centre_through() -> None:
    block = Bottleneck(16, 4, (1, 1), SHAPE).eval()
    torch.nn.init.zeros_(block.conv3.weight)
    x = torch.rand(1, 16, 20, 10)
    torch.testing.assert_close(block(x), x[:, :, 1:-1])


def test_a_network_maps_images_to_logits() -> None:
    net = ResNet(SHAPE).eval()
    assert net(torch.zeros(3, 1, 136, 40)).shape == (3, 12)
    assert 70_000 < sum(p.numel() for p in net.parameters()) < 85_000


def test_an_identity_block_with_zero_weights_passes_its_centre_through() -> None:
    block = BasicBlock(4, 4, (1, 1), SHAPE).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.rand(1, 4, 20, 10)
    torch.testing.assert_close(block(x), x[:, :, 2:-2])


def test_relu_comes_after_the_addition() -> None:
    block = BasicBlock(4, 4, (1, 1), SHAPE).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    assert block(-torch.rand(1, 4, 20, 10)).abs().max() == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (TrainSettings(net=Net("resnet9")), "no architecture 'resnet9'; choose from resnet8"),
        (TrainSettings(frames=137), r"does not fit resnet8 \(receptive field 32.*nearest that fit are \[136, 144\]"),
        (TrainSettings(frames=24), r"nearest that fit are \[32, 40\]"),
        (TrainSettings(hop=6), "hop of 6 frames is not a multiple of resnet8's time stride of 4"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(settings: TrainSettings, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        network_of(settings, settings.front_end.params(), 12)
