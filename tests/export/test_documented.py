"""The recipes and configurations in docs/: they are accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.export.bundling.foreign import read_description, thresholds_of
from edge_res.export.training.runs import network_of
from edge_res.export.training.settings import read_recipe
from edge_res.signal.frontend import FrontEndParams
from tests.edgeres import REPOSITORY

DOCS = REPOSITORY / "docs"


def block(page: str) -> str:
    """The TOML of a page."""
    return (DOCS / page).read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]


@pytest.mark.parametrize("page", ["how-to/train.md", "tutorials/your-own-machine.md"])
def test_recipes_fit_their_networks(page: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(block(page), encoding="utf-8")
    settings = read_recipe(str(path))
    assert network_of(settings, settings.front_end.params(), 3).receptive_field <= settings.frames


def test_the_configuration_of_an_onnx_file_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text(block("reference/onnx.md"), encoding="utf-8")
    described = read_description(path, calibrated=False)
    assert FrontEndParams.from_dict(described.front_end).bins == 2
    assert thresholds_of(path, described) == {"yes": 0.7, "no": 0.6}
