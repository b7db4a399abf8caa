"""Recipes and settings: what fits, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.config import from_mapping
from edge_res.errors import ConfigError
from edge_res.export.training.runs import network_of
from edge_res.export.training.settings import TrainSettings, read_recipe, recipe_names
from tests.edgeres import edgeres_here, sentence


@pytest.mark.parametrize("name", recipe_names())
def test_every_bundled_recipe_fits_its_network(name: str) -> None:
    settings = read_recipe(name)
    assert settings.recipe == name
    params = settings.front_end.params()
    assert network_of(settings, params, 10).receptive_field <= settings.frames


def test_settings_survive_json() -> None:
    settings = read_recipe("bearing")
    again = from_mapping(TrainSettings, json.loads(json.dumps(settings.to_dict())), "a run")
    assert again == settings


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("epoch = 3", "has the unknown keys ['epoch']; the keys are ['allowed_loss', 'batch'"),
        ("epochs = 'many'", "epochs is 'many', expected a whole number"),
        ("optimizer = 'adam'", "optimizer is 'adam', expected one of adamw, sgd"),
        ("[net]\nwidths = [8, 16]", "net: widths is [8, 16], expected a list of 3, each a whole number"),
        ("[splits]\nvalidation = 1.5", "validation = 1.5 and held = 0.0"),
        ("[splits]\nvalidation_groups = '('", "'(' is not a regular expression"),
        ("[front_end]\nlow_hz = 9000", "low_hz < high_hz"),
        ("epochs = ", "is not valid TOML"),
        ("epochs = 0", "epochs is 0, expected 1 or more"),
        ("hop = 0", "hop is 0, expected 1 or more"),
        ("warm_up = 1.0", "warm_up is 1, expected 0 to 0.99"),
        ("ema = 2", "ema is 2, expected 0 to 1"),
        ("[net]\nwidths = [8, 0, 16]", "net.widths is 0, expected 1 or more"),
        ("[front_end]\nchannels = 9", "front_end.channels is 9, expected 1 to 8"),
        ("[vary]\nsnr_db = [30, 0]", "vary.snr_db is from 30 to 0; the lower bound comes first"),
        ("labels = ['yes', 'no', 'yes']", "The labels yes, no, yes contain one twice"),
    ],
)
def test_an_invalid_recipe_is_refused_by_its_key(tmp_path: Path, body: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(body + "\n")
    with pytest.raises(ConfigError) as error:
        read_recipe(str(path)).front_end.params()
    assert words in str(error.value)


def test_the_command_line_names_the_recipes(tmp_path: Path) -> None:
    result = edgeres_here("train", tmp_path, "--recipe", "keyword")
    assert result.returncode == 2
    assert "no recipe 'keyword'; choose from arabic, bearing, ceiling-fan, environment, keywords" in sentence(result)
