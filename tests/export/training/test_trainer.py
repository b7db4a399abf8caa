"""A whole small run: tones in noise, trained, exported, listened to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import DataError
from edge_res.evaluation.metrics import judged_on, measure
from edge_res.export.bundling.material import from_run
from edge_res.export.training import trainer
from edge_res.export.training.report import counted
from edge_res.export.training.runs import read_run
from edge_res.export.training.settings import TrainSettings
from edge_res.model.bundle import read_bundle
from edge_res.signal.frontend import compute_frames
from tests.edgeres import edgeres, edgeres_here, lines, sentence
from tests.export.tones import RATE_HZ, tone, write_corpus

SETTINGS = TrainSettings(labels=("low", "high"), frames=40, epochs=3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def run_folder(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tones"
    result = edgeres(
        "train", corpus, "--labels", "low,high", "--frames", "40", "--epochs", "25", "--out", folder
    )  # fmt: skip
    assert result.returncode == 0, result.stderr.decode()
    assert "accuracy" in result.stderr.decode()
    assert result.stdout == b""
    return folder


def test_tones_are_learned_exported_and_heard(corpus: Path, run_folder: Path, tmp_path: Path) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_bytes())
    assert metrics["accuracy"] >= 0.9
    out = tmp_path / "tones.edgeres"
    result = edgeres("export", run_folder, "--data", corpus, "-o", out)
    assert result.returncode == 0, result.stderr.decode()
    assert "µs per hop (LiteRT, step" in (run_folder / "report.html").read_text()
    manifest = read_bundle(out).manifest
    assert manifest.labels == ("low", "high", "_silence_")
    assert manifest.background == ("_silence_",)
    assert manifest.metrics["validation_int8"]["accuracy"] >= metrics["accuracy"] - 0.05
    assert manifest.metrics["validation_stream"]["hits"] > 0

    rng = np.random.default_rng(1)
    audio = rng.normal(0, 60, 4 * RATE_HZ).astype(np.int16)
    audio[RATE_HZ:][: RATE_HZ // 2] += tone(rng, 2500)
    audio[RATE_HZ * 5 // 2 :][: RATE_HZ // 2] += tone(rng, 500)
    soundfile.write(tmp_path / "tones.wav", audio, RATE_HZ)
    events = lines(edgeres("listen", tmp_path / "tones.wav", "--model", out, "--format", "jsonl"))
    heard = [event for event in events if event["event"] == "on"]
    assert [event["label"] for event in heard] == ["high", "low"]
    for event, onset_s in zip(heard, (1.125, 2.625), strict=True):
        assert abs(event["start_s"] - onset_s) < 0.3


def test_any_folder_of_clips_can_calibrate(corpus: Path, run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "loud").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.3, (3 * RATE_HZ, 1))
    np.save(tmp_path / "loud" / "noise.npy", noise)
    params = read_run(run_folder).front_end
    material = from_run(run_folder, corpus, tmp_path / "loud")
    frames = compute_frames(params, noise.astype(np.float32), 8)
    assert material.calibration.shape == (len(frames) - 39, 40, params.bins, 1)
    np.testing.assert_array_equal(material.calibration[[0, -1]], [frames[:40], frames[-40:]])
    usual = from_run(run_folder, corpus)
    assert usual.calibration.shape != material.calibration.shape
    np.testing.assert_array_equal(usual.stream, material.stream)
    result = edgeres(
        "export", run_folder, "--data", corpus, "-o", tmp_path / "x.edgeres", "--calibration", tmp_path / "none"
    )
    assert result.returncode == 8
    assert "There are no recordings in" in sentence(result)


def test_an_export_with_other_data_is_refused_and_writes_nothing(
    corpus: Path, run_folder: Path, tmp_path: Path
) -> None:
    rows = corpus.read_text().splitlines()
    other = corpus.parent / "other.csv"
    other.write_text("\n".join(row for row in rows if not row.startswith("low-7.")) + "\n")
    result = edgeres_here("export", run_folder, "--data", other, "-o", tmp_path / "x.edgeres")
    assert result.returncode == 8
    assert "is not the data that" in sentence(result)
    assert not list(tmp_path.iterdir())


def test_the_same_seed_gives_the_same_weights(corpus: Path, tmp_path: Path) -> None:
    def trained(seed: int, out: str) -> dict[str, Any]:
        settings = replace(SETTINGS, seed=seed, epochs=1)
        run = trainer.train(corpus, tmp_path / out, settings, lambda step: None, lambda text: None)
        assert run is not None
        state: dict[str, Any] = run.model.state_dict()
        return state

    first, second, other = trained(0, "a"), trained(0, "b"), trained(1, "c")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    found = read_run(tmp_path / "a")
    assert found.settings == replace(SETTINGS, epochs=1)
    assert all(torch.equal(first[name], found.model.state_dict()[name]) for name in first)


def test_the_run_leaves_a_self_contained_report(run_folder: Path) -> None:
    html = (run_folder / "report.html").read_text()
    assert "http" not in html.replace("http-equiv", "")
    assert f"1 channel at {RATE_HZ} Hz" in html
    assert (counted(0, "window"), counted(1, "window")) == ("0 windows", "1 window")
    assert html.count("data:audio/wav;base64,") == 20
    assert html.count("data:image/png;base64,") == 21  # and the curves
    context = json.loads((run_folder / "report.json").read_bytes())
    assert [float(one["score"]) for one in context["worst"]] == sorted(one["score"] for one in context["worst"])
    metrics = json.loads((run_folder / "metrics.json").read_bytes())
    assert len(metrics["history"]) == 25
    assert f"{metrics['accuracy']:.1%}" in html
    assert {name for name, _ in context["per_group"]} <= set(metrics["per_group"])
    assert context["groups"] == len(metrics["per_group"])


def test_a_finished_run_is_not_overwritten(corpus: Path, run_folder: Path) -> None:
    result = edgeres_here("train", corpus, "--out", run_folder)
    assert result.returncode == 2
    assert "holds a finished training; choose another --out" in sentence(result)


def test_a_place_where_nothing_can_be_written_is_refused_before_all_the_work(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = edgeres_here("train", corpus, "--out", tmp_path / "file" / "run")
    assert result.returncode == 2
    assert f"nothing can be written in {tmp_path / 'file'}; name another folder" in sentence(result)


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the folder of a finished training run"):
        read_run(tmp_path)


def test_accuracy_comes_with_wilsons_interval() -> None:
    metrics = measure(np.array([0] * 81 + [1] * 19), np.zeros(100, np.int64), ("a", "b"))
    assert metrics["accuracy"] == 0.81
    assert metrics["per_label"] == {"a": 0.81}  # there are no examples of b
    # Wilson 1927 for 81 of 100, as statistical tables give it
    assert metrics["interval"] == pytest.approx([0.7222, 0.8749], abs=2e-4)


def test_one_session_is_split_by_time_and_stamped(tmp_path: Path) -> None:
    """Long recordings of one session, without a manifest: the report, the bundle and `info` say so."""
    rng = np.random.default_rng(0)
    for label, hz in (("low", 500), ("high", 2500)):
        (tmp_path / "data" / label).mkdir(parents=True)
        recording = np.concatenate([tone(rng, hz) for _ in range(80)])
        soundfile.write(tmp_path / "data" / label / "monday.wav", recording, RATE_HZ)
    run, out = tmp_path / "run", tmp_path / "x.edgeres"
    asked = ("train", tmp_path / "data", "--split", "time", "--frames", "40", "--epochs", "2", "--out", run)
    result = edgeres_here(*asked, "--windows", "stretches")
    assert result.returncode == 0, result.stderr.decode()
    assert result.stderr.decode().endswith(") on later parts of the same session\n")
    assert "<strong>on later parts of the same session</strong>" in (run / "report.html").read_text()
    assert "<h2>Groups" not in (run / "report.html").read_text()
    result = edgeres_here("export", run, "-o", out)
    assert result.returncode == 0, result.stderr.decode()
    assert "on later parts of the same session" in result.stderr.decode()
    assert "on later parts of the same session" in edgeres_here("info", out).stdout.decode()
    as_words = edgeres_here(*asked[:-1], tmp_path / "words", "--batch", "2")
    assert "only the middle of each is learned; --windows stretches uses them whole" in as_words.stderr.decode()


def test_what_a_validation_was_judged_on() -> None:
    labels = ("a", "b", "_silence_")
    assert judged_on((), labels) == "on groups that it was not trained on"
    assert judged_on(("a", "b"), labels) == "on later parts of the same session"
    assert judged_on(("b",), labels) == (
        "on groups that it was not trained on; for b, on later parts of the same session"
    )
