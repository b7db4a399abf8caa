"""The networks of four stages: published sizes, any image, and through the export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.engines import load_engine
from edge_res.export.bundling import packaging
from edge_res.export.bundling.material import Material
from edge_res.export.bundling.trained import to_onnx
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.formats.quantize import quantize
from edge_res.export.int8.graph import run
from edge_res.export.int8.step import step_graph
from edge_res.export.nets.imagenet import ImageNetResNet, ImageNetShape
from edge_res.export.training.runs import Run
from edge_res.export.training.settings import Spectrogram, TrainSettings
from edge_res.model.bundle import DecideParams, read_bundle
from edge_res.model.quantization import decode, encode

PAPER = ImageNetShape(18, bins=224, channels=3, labels=1000, frames=224)
SMALL = ImageNetShape(18, bins=40, channels=1, labels=12, frames=64)


def on_meta(shape: ImageNetShape) -> ImageNetResNet:
    """Without memory and without arithmetic."""
    with torch.device("meta"):
        return ImageNetResNet(shape).eval()


def multiply_adds(shape: ImageNetShape) -> int:
    """Those of convolutions and dense layers for one image, as the paper counts them."""
    counted: list[int] = []

    def count(layer: Any, _: Any, y: Any) -> None:
        counted.append(layer.weight.numel() * y[0, 0].numel())

    net = on_meta(shape)
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    net(torch.empty(1, shape.channels, shape.frames, shape.bins, device="meta"))
    return sum(counted)


@pytest.mark.parametrize(("depth", "millions"), [(18, 11.69), (34, 21.80), (50, 25.56), (101, 44.55), (152, 60.19)])
def test_parameters_are_as_published(depth: int, millions: float) -> None:
    found = sum(p.numel() for p in on_meta(replace(PAPER, depth=depth)).parameters())
    assert round(found / 1e6, 2) == millions


@pytest.mark.parametrize(("depth", "billions"), [(18, 1.8), (34, 3.6), (50, 3.8), (101, 7.6), (152, 11.3)])
def test_multiply_adds_are_those_of_table_1(depth: int, billions: float) -> None:
    """3.66 and 3.86 G are printed as 3.6 and 3.8 there; strides in the 3×3 convolutions would make 4.09, 7.8, 11.5."""
    assert multiply_adds(replace(PAPER, depth=depth)) / 1e9 == pytest.approx(billions, abs=0.065)


@pytest.mark.parametrize("depth", [18, 50])
def test_the_receptive_field_is_what_the_network_sees(depth: int) -> None:
    """NaN in one frame becomes NaN in all columns that see it."""
    shape = ImageNetShape(depth, 4, 1, 2, 515, "valid")
    net = ImageNetResNet(shape).eval()
    columns: list[Any] = []
    net.stage4.register_forward_hook(lambda layer, x, y: columns.append(y))
    field = shape.receptive_field
    assert field == {18: 435, 50: 483}[depth]
    assert shape.columns == {18: 3, 50: 2}[depth]
    x = torch.zeros(4, 1, 515, 4)
    for image, frame in enumerate((0, field - 1, field, 32)):
        x[image, :, frame] = torch.nan
    with torch.no_grad():
        net(x)
    seen = columns[0].isnan().any(3).any(1)
    assert seen.shape == (4, shape.columns)
    assert seen[:, :2].tolist() == [[True, False], [True, True], [False, True], [True, True]]


@pytest.mark.parametrize(
    "shape",
    [
        replace(SMALL, frames=61, bins=33, channels=8),
        replace(SMALL, depth=50, frames=1, bins=1),
        replace(SMALL, shortcuts="identity"),
        replace(SMALL, depth=34, shortcuts="none"),
        replace(SMALL, depth=101, frames=1100, time_padding="valid"),
    ],
)
def test_images_of_any_size_become_logits(shape: ImageNetShape) -> None:
    images = torch.empty(2, shape.channels, shape.frames, shape.bins, device="meta")
    assert on_meta(shape)(images).shape == (2, 12)


def trained_on_noise(shape: ImageNetShape) -> Run:
    """A network whose batch normalisation has statistics."""
    torch.manual_seed(0)
    net = ImageNetResNet(shape)
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(4, shape.channels, shape.frames, shape.bins))
    params = replace(Spectrogram().params(), bins=shape.bins, mean=(0.0,) * shape.bins, gain=(1.0,) * shape.bins)
    labels = tuple(f"label{i}" for i in range(shape.labels))
    return Run(TrainSettings(frames=shape.frames), params, labels, net.eval(), "", {}, {})


def test_padded_along_time_it_is_exported_as_a_window_model_that_says_why(tmp_path: Path) -> None:
    made = trained_on_noise(SMALL)
    stream = np.random.default_rng(0).normal(0, 1, (120, 40, 1)).astype(np.float32)
    material = Material(
        network=to_onnx(made),
        labels=made.labels,
        background=(),
        front_end=made.front_end,
        hop=8,
        calibration=np.stack([stream[at : at + 64] for at in range(0, 56, 8)]),
        stream=stream,
        decide=DecideParams(dict.fromkeys(made.labels, 0.6)),
    )
    packaging.build(material, tmp_path / "x.edgeres", "resnet18", "minmax", None, lambda text: None)
    bundle = read_bundle(tmp_path / "x.edgeres")
    assert set(bundle.files) == {"golden.npz", "window.onnx", "window.tflite"}
    why_not = bundle.manifest.network["window_only"]
    assert "is padded along time by (3, 3) columns, but a stream has no edge to pad" in why_not


def test_unpadded_it_runs_on_a_stream() -> None:
    shape = ImageNetShape(18, 8, 1, 3, 448, "valid")
    made = trained_on_noise(shape)
    rng = np.random.default_rng(0)
    window = quantize(to_onnx(made), rng.normal(0, 1, (2, 448, 8, 1)).astype(np.float32))
    assert not window.window_only
    stream = rng.integers(-128, 128, (448 + 32, 8, 1)).astype(np.int8)
    expected = run(window, np.stack([stream[:448], stream[32:]]))
    assert (expected[0] != expected[1]).any()
    step = step_graph(window, 32)
    for engine, write in (("onnxruntime", onnx_writer.write), ("litert", tflite_writer.write_with_variables)):
        runner = load_engine(engine)(write(step), 1)
        pieces = [encode(stream[None, at : at + 32], runner.inputs[0]) for at in range(0, len(stream), 32)]
        logits = decode(np.stack([runner.advance(piece)[0].copy() for piece in pieces]), runner.outputs[0])
        np.testing.assert_array_equal(logits[13:], expected, err_msg=engine)
