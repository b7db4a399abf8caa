"""Settings that `profile --save` wrote, on this machine or on another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_res.devices.machine import machine_name
from edge_res.doctor.config import check_config
from edge_res.measured import Settings, with_table

PI = "Raspberry Pi 4 Model B Rev 1.4, aarch64, 4 cores"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "edgeres").mkdir()
    return tmp_path / "edgeres" / "config.toml"


def settings(machine: str) -> Settings:
    return Settings(machine, "default", "litert", "step", 1, "it takes least", "2026-11-23")


def test_settings_of_another_machine(path: Path) -> None:
    path.write_text(with_table("", "3f0c9b6a1d2e4f58", settings(PI)))
    (found,) = check_config(path)
    assert (found.severity, found.command) == ("warning", "edgeres profile --save")
    assert f"were measured on another machine ({PI}) and are ignored here; this is {machine_name()}." in found.sentence


def test_settings_of_this_machine_and_of_another(path: Path) -> None:
    text = with_table(with_table("", "3f0c9b6a1d2e4f58", settings(PI)), "00aa", settings(machine_name()))
    path.write_text(text)
    assert [found.severity for found in check_config(path)] == ["ok"]


@pytest.mark.parametrize("text", ["", "[mine]\nanything = 1\n", "measured = 5\n"])
def test_without_saved_settings_there_are_no_findings(text: str, path: Path) -> None:
    path.write_text(text)
    assert list(check_config(path)) == []


@pytest.mark.parametrize("text", ["x = [", "[measured.00aa]\nengine = 5\n"])
def test_a_file_that_cannot_be_used(text: str, path: Path) -> None:
    path.write_text(text)
    (found,) = check_config(path)
    assert (found.severity, found.command) == ("problem", f"mv {path} {path}.old")
    assert str(path) in found.sentence
