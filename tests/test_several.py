"""Several sources in one process: each is heard as it is alone, and one that fails does not stop the others."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.edgeres import CLIPS, DEMO, edgeres, lines, sentence


def by_source(told: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for line in told:
        found[line.pop("source")].append(line)
    return dict(found)


@pytest.mark.parametrize("options", [("--engine", "litert"), ("--engine", "onnxruntime"), ("--mode", "window")])
def test_each_source_is_heard_as_it_is_alone(tmp_path: Path, options: tuple[str, str]) -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    paths = []
    for i in range(4):  # another stretch each, one of them at another rate
        paths.append(tmp_path / f"part{i}.wav")
        soundfile.write(paths[-1], samples[i * 3 * rate_hz :][: 12 * rate_hz], 44100 if i == 3 else rate_hz)
    options = ("--format", "jsonl", "--scores", *options)  # type: ignore[assignment]
    together = by_source(lines(edgeres("listen", *paths, *options)))
    assert len(together) == 4
    for path in paths:
        alone = by_source(lines(edgeres("listen", path, *options)))
        assert len(alone[str(path)]) > 100 if path != paths[3] else alone
        assert together[str(path)] == alone[str(path)]


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.flac"
    damaged.write_bytes(DEMO.read_bytes()[:100_000])
    result = edgeres("listen", damaged, DEMO, "--format", "jsonl")
    assert result.returncode == 3
    told = result.stderr.decode().splitlines()
    assert any(line.startswith(f"edgeres: {damaged} has failed at ") for line in told)
    assert "breaks off after" in told[-1]
    heard = by_source([json.loads(line) for line in result.stdout.splitlines()])
    alone = lines(edgeres("listen", DEMO, "--format", "jsonl"))
    assert heard[str(DEMO)] == by_source(alone)[str(DEMO)]


def test_one_that_ends_before_the_others_is_told_and_is_in_the_health_file(tmp_path: Path) -> None:
    short, health = CLIPS / "yes-0.flac", tmp_path / "health.json"
    result = edgeres("listen", short, "demo:", "--health-file", health, "--format", "jsonl")
    assert result.returncode == 0
    assert f"edgeres: {short} has ended at 1.0 s" in result.stderr.decode().splitlines()
    assert b"interrupted" not in result.stderr
    assert [source["state"] for source in json.loads(health.read_text())["sources"]] == ["ended", "ended"]


def test_all_that_failed_are_named(tmp_path: Path) -> None:
    damaged = [tmp_path / "a.flac", tmp_path / "b.flac"]
    for path in damaged:
        path.write_bytes(DEMO.read_bytes()[:100_000])
    result = edgeres("listen", *damaged, "--format", "jsonl")
    assert result.returncode == 3
    last = result.stderr.decode().splitlines()[-1]
    assert last.startswith("edgeres: 2 of 2 sources failed: ")
    assert all(str(path) in last for path in damaged)


def test_a_source_is_named_once() -> None:
    result = edgeres("listen", "demo:", DEMO, "demo:")
    assert result.returncode == 2
    assert sentence(result) == "The source demo: is named twice; name each once."


def test_lines_name_their_source(tmp_path: Path) -> None:
    copy = tmp_path / "copy.flac"
    shutil.copy(DEMO, copy)
    told = edgeres("listen", DEMO, copy).stdout.decode().splitlines()
    assert sum(line.endswith(f"  {DEMO}") for line in told) == sum(line.endswith(f"  {copy}") for line in told) > 8


@pytest.mark.parametrize(("pick", "heard"), [("0", True), ("1", False), ("mix", True)])
def test_a_channel_of_a_recording_is_picked(tmp_path: Path, pick: str, heard: bool) -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([samples, 1e-4 * samples[::-1]], axis=1), rate_hz)
    events = lines(edgeres("listen", path, "--channel", pick, "--format", "jsonl"))
    assert (len([event for event in events if event["event"] == "on"]) > 7) is heard
    assert "has 2 channels" in sentence(edgeres("listen", path))
    assert "--channel asks for 2" in sentence(edgeres("listen", path, "--channel", "2"))
