from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_res.errors import ConfigError, OutputError
from edge_res.measured import Settings, key_of, save, saved_settings, user_config
from edge_res.model.bundle import Bundle, bundle_hash, read_bundle

SETTINGS = Settings("a board, 4 cores", "default", "litert", "step", 2, 'it is "quick" – 3 µs', "2026-11-23")
KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    assert saved_settings(KEY) is None
    path = save(KEY, SETTINGS, "{}")
    assert path == tmp_path / "edgeres" / "config.toml"
    assert saved_settings(KEY) == SETTINGS
    assert saved_settings("f" * 16) is None
    assert (path.parent / "profiles" / f"{KEY}.json").read_text() == "{}"


def test_saving_again_replaces_the_table_and_keeps_the_rest() -> None:
    path = user_config()
    path.parent.mkdir()
    mine = '# mine\nanswer = 42\n\n[other]\nname = "x"  # kept\n'
    path.write_text(mine)
    save(KEY, SETTINGS, "{}")
    save("f" * 16, replace(SETTINGS, threads=4), "{}")
    save(KEY, replace(SETTINGS, mode="window"), "{}")
    text = path.read_text()
    assert text.startswith(mine)
    assert text.count(KEY) == 1
    assert saved_settings(KEY) == replace(SETTINGS, mode="window")
    assert saved_settings("f" * 16) == replace(SETTINGS, threads=4)


def test_a_file_that_is_not_toml_is_not_overwritten() -> None:
    path = user_config()
    path.parent.mkdir()
    path.write_text("[measured\n")
    for call in (lambda: saved_settings(KEY), lambda: save(KEY, SETTINGS, "{}")):
        with pytest.raises(ConfigError, match="is not TOML"):
            call()
    assert path.read_text() == "[measured\n"


@pytest.mark.parametrize(
    "table", ["engine = 1", 'threads = "2"', "threads = 0", "threads = true", 'mode = "both"', "extra = 1"]
)
def test_a_damaged_table_is_reported(table: str) -> None:
    path = save(KEY, SETTINGS, "{}")
    name = table.split()[0]
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{name} =")]
    path.write_text("\n".join([*lines, table]))
    with pytest.raises(ConfigError, match=rf"\[measured.{KEY}\] .* is not as"):
        saved_settings(KEY)


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "edgeres").write_text("in the way")
    with pytest.raises((ConfigError, OutputError), match="edgeres"):
        save(KEY, SETTINGS, "{}")


def test_the_key_depends_on_machine_and_models_only() -> None:
    bundle = read_bundle("tiny")
    same = Bundle(replace(bundle.manifest, name="another"), bundle.files)
    other = Bundle(bundle.manifest, {**bundle.files, "step.onnx": b""})
    assert key_of("a", [bundle]) == key_of("a", [same])
    assert len({key_of("a", [bundle]), key_of("b", [bundle]), key_of("a", [other])}) == 3
    assert bundle_hash([bundle, other]) != bundle_hash([other, bundle])


def test_without_a_home_folder_there_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative/is/not/allowed")
    monkeypatch.setenv("HOME", "/nonexistent")
    assert user_config() == Path("/nonexistent/.config/edgeres/config.toml")
    assert saved_settings(KEY) is None


def test_reasons_are_written_as_toml() -> None:
    path = save(KEY, replace(SETTINGS, reason="a\ttab, a \\ and 😀"), json.dumps({}))
    found = saved_settings(KEY)
    assert found
    assert found.reason == "a\ttab, a \\ and 😀"
    assert path.is_file()
