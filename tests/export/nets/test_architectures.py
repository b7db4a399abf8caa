"""From a name to a network."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import ConfigError
from edge_res.export.nets.architectures import NAMES, Network, network


def on_meta(made: Network) -> Any:
    with torch.device("meta"):
        return made.build().eval()


def parameters(name: str, **options: Any) -> dict[str, tuple[int, ...]]:
    net = on_meta(network(name, 64, 40, 1, 12, "same", **options))
    return {key: tuple(parameter.shape) for key, parameter in net.named_parameters()}


@pytest.mark.parametrize("name", NAMES)
def test_each_name_maps_images_to_logits(name: str) -> None:
    made = network(name, 50, 33, 2, 7, "same")
    assert on_meta(made)(torch.empty(3, 2, 50, 33, device="meta")).shape == (3, 7)


@pytest.mark.parametrize(
    ("name", "field", "stride"),
    [("resnet8", 32, 4), ("plain14", 64, 4), ("resnet18", 448, 32), ("plain34", 928, 32), ("resnet50", 512, 32)],
)
def test_the_shortest_unpadded_window_has_one_column(name: str, field: int, stride: int) -> None:
    assert network(name, field, 8, 1, 2).columns == 1
    assert network(name, field - stride, 8, 1, 2).columns == 0
    made = network(name, field + 2 * stride, 8, 1, 2)
    assert (made.receptive_field, made.time_stride, made.columns) == (field, stride, 3)
    assert on_meta(made).mean_time.weight.shape[2] == 3


@pytest.mark.parametrize("name", ["resnet8", "resnet110", "resnet18"])
def test_padded_along_time_any_window_will_do(name: str) -> None:
    assert network(name, 9, 8, 1, 2, "same").receptive_field == 1
    assert on_meta(network(name, 1, 8, 1, 2, "same"))(torch.empty(1, 1, 1, 8, device="meta")).shape == (1, 2)


def test_a_linear_classifier_sees_the_whole_window() -> None:
    made = network("svm", 98, 40, 2, 12)
    assert (made.frames, made.receptive_field, made.time_stride, made.columns) == (98, 98, 1, 1)
    assert parameters("svm") == {"classifier.weight": (12, 1, 64, 40), "classifier.bias": (12,)}


@pytest.mark.parametrize("depth", [8, 20, 18, 50])
def test_a_plain_network_is_the_residual_one_without_shortcuts(depth: int) -> None:
    residual, plain = parameters(f"resnet{depth}"), parameters(f"plain{depth}")
    assert {key: shape for key, shape in residual.items() if "shortcut" not in key} == plain
    assert len(plain) < len(residual)


def test_depths_of_table_1_are_networks_of_four_stages() -> None:
    assert "stage4.0.conv1.weight" in parameters("resnet34")
    assert "stage4.0.conv1.weight" not in parameters("resnet32")


def test_three_stages_take_widths_and_strides() -> None:
    options: dict[str, Any] = {"widths": (4, 5, 6), "stem_strides": (1, 2), "stage_strides": ((1, 1), (2, 1), (1, 1))}
    assert parameters("resnet8", **options)["classifier.weight"] == (12, 6, 1, 1)
    assert network("resnet8", 64, 40, 1, 12, **options).time_stride == 2
    assert network("resnet18", 64, 40, 1, 12, "same", **options).time_stride == 32


@pytest.mark.parametrize("name", ["resnet9", "resnet", "plain", "SVM", "svm8", "resnet18 ", "mobilenet"])
def test_an_unknown_name_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"no architecture '{name}'; choose from resnet8, .*resnet152, plain8, .*svm"
    ):
        network(name, 136, 40, 1, 12)
