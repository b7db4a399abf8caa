"""Architectures compared on one small data set, as a user compares them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.export.comparison import fitting
from edge_res.export.training.settings import Net, TrainSettings
from edge_res.model.bundle import read_bundle
from tests.edgeres import edgeres
from tests.export.tones import write_corpus


def test_each_architecture_is_trained_exported_and_measured_alike(tmp_path: Path) -> None:
    corpus, out = write_corpus(tmp_path, groups=24), tmp_path / "out"
    asked = ("compare", corpus, "--arch", "svm,plain8,resnet8", "--frames", "40", "--epochs", "3", "--out", out)
    result = edgeres(*asked, "--json")
    assert result.returncode == 0, result.stderr.decode()
    rows = json.loads(result.stdout)["rows"]
    assert [row["arch"] for row in rows] == ["svm", "plain8", "resnet8"]
    assert rows[1]["parameters"] < rows[2]["parameters"]  # the shortcuts' projections
    for row in rows:
        manifest = read_bundle(str(out / f"{row['arch']}.edgeres")).manifest
        assert row["accuracy"] == manifest.metrics["validation_float"]["accuracy"]
        assert row["int8_accuracy"] == manifest.metrics["validation_int8"]["accuracy"]
        assert row["macs_hop"] == manifest.network["macs_hop"]
        assert row["interval"][0] <= row["accuracy"] <= row["interval"][1]
        assert row["us_hop"] > 0
        assert (out / row["arch"] / "report.html").exists()
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "compare.json").read_bytes()) == rows

    (out / "plain8.edgeres").rename(tmp_path / "kept")
    again = edgeres(*asked)  # finished runs are not trained again
    assert again.returncode == 0, again.stderr.decode()
    assert b"plain8" in again.stdout
    assert b"epoch" not in again.stderr


def test_deeper_networks_get_the_frames_that_they_need() -> None:
    frames = [fitting(TrainSettings(frames=40, net=Net(f"resnet{depth}"))).frames for depth in (8, 14, 20)]
    assert frames == [40, 64, 96]
