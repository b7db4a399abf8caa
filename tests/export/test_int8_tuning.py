"""Tuning for int8: rounded convolutions, and when the tuned network is taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from torch import Tensor, nn

from edge_res.bundle import DecideParams
from edge_res.export import packaging
from edge_res.export.answers import float_logits
from edge_res.export.int8_tuning import fine_tune, round_convolutions
from edge_res.export.material import Material, Validation, to_onnx
from edge_res.export.nets import ResNet
from edge_res.export.quantize import symmetric
from edge_res.export.runs import Run, network_of
from edge_res.export.settings import Net, TrainSettings
from edge_res.export.windows import Windows

SETTINGS = TrainSettings(frames=40, batch=8, net=Net(widths=(4, 8, 8)))
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def run() -> Run:
    torch.manual_seed(3)
    params = SETTINGS.front_end.params()
    model = network_of(SETTINGS, params, 3).build().eval()
    assert isinstance(model, ResNet)
    assert model.classifier.bias is not None
    with torch.no_grad():  # so that no label always wins
        model.classifier.bias -= model(torch.randn(64, 1, 40, 40)).mean(0)
    return Run(SETTINGS, params, LABELS, model, "", {}, {})


class Made(Windows):
    """Windows of random frames."""

    def __init__(self) -> None:
        self.examples = [None] * 24  # type: ignore[list-item]
        self.labels = {label: i for i, label in enumerate(LABELS)}

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.randn(1, 40, 40, generator=torch.Generator().manual_seed(index)), index % 3


def test_rounded_convolutions_compute_with_255_steps(run: Run) -> None:
    images = torch.randn(8, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    rounded = network_of(SETTINGS, run.front_end, 3).build().eval()
    rounded.load_state_dict(run.model.state_dict())
    round_convolutions(rounded, images)
    assert rounded.state_dict().keys() == run.model.state_dict().keys()
    exact, near = run.model(images), rounded(images)
    assert not torch.equal(exact, near)
    assert (exact - near).abs().max() < 0.1 * exact.abs().max()
    # the same after inputs are rounded to the 256 values already
    stem = next(m for m in rounded.modules() if isinstance(m, torch.nn.Conv2d))
    grid = torch.fake_quantize_per_tensor_affine(images, stem.input_scale, stem.input_zero_point, 0, 255)
    torch.testing.assert_close(rounded(grid), near)
    near.sum().backward()  # the straight-through gradient reaches the first weights
    assert stem.weight.grad is not None
    assert stem.weight.grad.abs().sum() > 0


def test_tuning_changes_the_weights_and_keeps_the_network(run: Run) -> None:
    tuned = fine_tune(run, lambda epoch: Made(), 1)
    assert type(next(m for m in tuned.model.modules() if isinstance(m, torch.nn.Conv2d))) is torch.nn.Conv2d
    before, after = run.model.state_dict(), tuned.model.state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert any(name.endswith("weight") for name in changed)
    close = [torch.allclose(before[name], after[name], atol=0.2) for name in before if name.endswith("conv1.weight")]
    assert all(close)


def test_a_network_is_tuned_only_where_int8_costs_too_much(run: Run) -> None:
    rng = np.random.default_rng(0)
    frames = rng.normal(0, 1, (200, 40, 40, 1)).astype(np.float32)
    targets = float_logits(to_onnx(run), frames).argmax(1)  # in float all are right
    calls = []

    def tune() -> bytes:
        calls.append(1)
        return to_onnx(run)

    good = Material(
        to_onnx(run), LABELS, (), run.front_end, 8, frames[:64], frames[0], DecideParams(dict.fromkeys(LABELS, 0.5)),
        validation=Validation(frames, targets, ("",) * len(targets)), tune=tune, allowed_loss=0.3,
    )  # fmt: skip
    said: list[str] = []
    packaging.quantized_well(good, "minmax", said.append)
    assert not calls

    outlier = frames[:64].copy()
    outlier[0, 0, 0, 0] = 400.0  # one step of the input is now as large as most of it
    packaging.quantized_well(replace(good, calibration=outlier, allowed_loss=0.003), "minmax", said.append)
    assert calls
    assert "points of accuracy: tuning the network for it" in said[0]


def plain(frames: Tensor, loud: bool) -> nn.Sequential:
    """A network, or the same with a channel that drowns the others in int8 and that nothing reads."""
    torch.manual_seed(5)
    net = nn.Sequential(
        nn.Conv2d(1, 4, (3, 40)), nn.ReLU(), nn.Conv2d(4, 8, (3, 1)), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    ).eval()  # fmt: skip
    with torch.no_grad():
        net[2].weight[:, 0] = 0  # type: ignore[operator]
        net[0].weight[0] *= 3000 if loud else 1  # type: ignore[index, operator]
        net[6].bias -= net(frames).mean(0)
        if not loud:
            net[6].bias[0] += 0.002  # type: ignore[index, operator]
    return net


def test_all_models_of_a_bundle_are_made_of_the_tuned_network(run: Run, tmp_path: Path) -> None:
    frames = torch.randn(200, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    trained, tuned = (to_onnx(replace(run, model=plain(frames, loud))) for loud in (True, False))
    windows = np.ascontiguousarray(frames.numpy().transpose(0, 2, 3, 1))
    targets = float_logits(trained, windows).argmax(1)
    assert (float_logits(tuned, windows).argmax(1) != targets).any()
    material = Material(
        trained, LABELS, (), run.front_end, 8, windows, np.concatenate([*windows[:4]]),
        DecideParams(dict.fromkeys(LABELS, 0.5)), validation=Validation(windows, targets, ("",) * len(targets)),
        tune=lambda: tuned,
    )  # fmt: skip
    bundle = packaging.build(material, tmp_path / "x.edgeres", "x", "minmax", "tensorrt", lambda text: None)
    metrics = bundle.manifest.metrics
    assert metrics["int8_tuned"] is True
    assert metrics["validation_float"]["accuracy"] == 1  # of the network as trained
    np.testing.assert_array_equal(
        float_logits(bundle.members["window-symmetric.onnx"], windows),
        float_logits(symmetric(tuned, windows), windows),
    )
    untuned = packaging.build(replace(material, tune=None), tmp_path / "y.edgeres", "y", "minmax", None, lambda _: None)
    assert "int8_tuned" not in untuned.manifest.metrics
    assert untuned.manifest.metrics["validation_int8"]["accuracy"] < metrics["validation_int8"]["accuracy"]
