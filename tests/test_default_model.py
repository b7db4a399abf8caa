"""The model that comes along: what it says of itself, and that the demo is new to it."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_res.model.bundle import Bundle, read_bundle, read_golden
from edge_res.model.verify import verify
from tests.edgeres import CLIPS, DEMO

SPLIT = Path(__file__).resolve().parent / "golden" / "default-split.csv"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle("default")


@pytest.fixture(scope="module")
def split(bundle: Bundle) -> list[dict[str, str]]:
    """Every clip and stretch of noise that the default model was trained or validated on, and those held back."""
    raw = SPLIT.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == bundle.manifest.training["split_sha256"]
    return list(csv.DictReader(raw.decode().splitlines()))


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(DEMO.with_suffix(".json").read_bytes())
    return told


def test_engines_and_modes_give_the_golden_integers(bundle: Bundle) -> None:
    stream, golden = read_golden(bundle)
    assert len(np.unique(golden.argmax(1))) > 3  # they tell labels apart
    checks = list(verify(bundle, stream, golden, ["litert", "onnxruntime"]))
    assert [(check.mode, check.against) for check in checks] == [("window", "golden"), ("step", "window")] * 2
    assert all(check.exact and check.differing == 0 and check.values == golden.size for check in checks)


def test_it_says_where_it_comes_from_and_what_it_is_worth(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert len(manifest.labels) == 12
    assert set(manifest.background) == {"_silence_", "_unknown_"}
    assert manifest.metrics["validation_int8"]["accuracy"] >= 0.9
    assert len(manifest.training["manifest_sha256"]) == 64
    assert 0.2 < manifest.delay_s < 1.0


def test_no_speaker_and_no_audio_crosses_the_split(split: list[dict[str, str]]) -> None:
    words = [row for row in split if row["label"] != "noise"]
    assert len({(row["group"], row["split"]) for row in words}) == len({row["group"] for row in words})
    assert len({row["sha256_16"] for row in split}) == len(split)
    for recording in {row["group"] for row in split if row["label"] == "noise"}:
        parts = sorted((int(r["start"]), int(r["start"]) + int(r["samples"])) for r in split if r["group"] == recording)
        assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(parts))


def test_the_demo_is_new_to_the_model(split: list[dict[str, str]], demo: dict[str, Any]) -> None:
    met = [row for row in split if row["split"] in ("train", "validation")]
    assert {row["split"] for row in split} == {"train", "validation", "held"}
    hashes = {row["sha256_16"] for row in met}
    speakers = {row["group"] for row in met}
    held = {row["sha256_16"] for row in split if row["split"] == "held"}
    for word in demo["words"]:
        assert word["speaker"] not in speakers
        assert word["sha256"][:16] not in hashes
        assert word["sha256"][:16] in held
    for stretch in demo["noise"]:
        assert stretch["sha256"][:16] in held
        for row in met:
            if row["label"] == "noise" and row["group"] == stretch["recording"]:
                start = int(row["start"])
                assert start + int(row["samples"]) <= stretch["start"] or stretch["start"] + stretch["samples"] <= start


def test_the_demo_is_what_its_labels_say(demo: dict[str, Any]) -> None:
    samples, rate_hz = soundfile.read(DEMO)
    assert (len(samples), rate_hz) == (demo["samples"], demo["rate_hz"])
    assert len(samples) >= 20 * rate_hz
    assert sum(word["label"] != "_unknown_" for word in demo["words"]) >= 8
    for word in demo["words"]:
        onset, end = round(word["onset_s"] * rate_hz), round(word["end_s"] * rate_hz)
        before = samples[onset - rate_hz // 4 : onset - rate_hz // 20]
        assert np.square(samples[onset:end]).mean() > 4 * np.square(before).mean()


def test_the_clips_of_the_tests_are_new_to_the_model(split: list[dict[str, str]]) -> None:
    met = [row for row in split if row["split"] in ("train", "validation")]
    hashes, speakers = {row["sha256_16"] for row in met}, {row["group"] for row in met}
    rows = list(csv.DictReader((CLIPS / "clips.csv").read_text().splitlines()))
    assert len(rows) == 22
    for row in rows:
        samples, _ = soundfile.read(CLIPS / row["file"], dtype="int16")
        assert hashlib.sha256(samples.tobytes()).hexdigest() == row["sha256"]
        assert row["sha256"][:16] not in hashes
        assert row["group"] not in speakers


def test_it_keeps_within_what_a_small_device_has(bundle: Bundle) -> None:
    network = bundle.manifest.network
    assert network["parameters"] <= 200_000
    assert network["macs_hop"] <= 4_000_000
    assert bundle.manifest.hop == 8


def test_the_tiny_model_gives_its_golden_integers_too() -> None:
    tiny = read_bundle("tiny")
    assert tiny.manifest.network["parameters"] <= 30_000
    in_float, in_int8 = (tiny.manifest.metrics[f"validation_{kind}"] for kind in ("float", "int8"))
    assert in_int8["accuracy"] >= 0.85
    assert (in_float["accuracy"] - in_int8["accuracy"]) * in_int8["n"] <= max(
        1, 0.003 * in_int8["n"]
    ) + 0.1  # four digits
    assert all(check.differing == 0 for check in verify(tiny, *read_golden(tiny), ["litert", "onnxruntime"]))
