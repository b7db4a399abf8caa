"""Accuracy on clips, and ensembles: with the default model and the included clips of other speakers."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from edge_res.clips.manifest import Entry
from edge_res.clips.splits import Splits
from edge_res.engines import load_engine
from edge_res.errors import ConfigError, DataError
from edge_res.evaluation.clips import placed, quietest, score_clip, unseen_entries
from edge_res.evaluation.metrics import measure, wilson
from edge_res.evaluation.streams import heard
from edge_res.model.bundle import read_bundle
from edge_res.model.ensemble import Chain, merged
from edge_res.model.models import load_model
from tests.edgeres import CLIPS, DEMO, edgeres, edgeres_here, lines, sentence

ROWS = list(csv.DictReader((CLIPS / "clips.csv").read_text().splitlines()))


def test_clips_of_new_speakers_are_told_apart_in_each_mode_and_engine() -> None:
    told = []
    for engine in ("litert", "onnxruntime"):
        for mode in ("step", "window"):
            result = edgeres_here(
                "evaluate", "default", CLIPS / "clips.csv", "--engine", engine, "--mode", mode, "--json"
            )  # fmt: skip
            assert result.returncode == 0, result.stderr.decode()
            told.append(json.loads(result.stdout))
            assert told[-1]["mode"] == mode
    first = told[0]
    assert first["n"] == len(ROWS)
    assert first["accuracy"] >= 0.8
    assert first["interval"][0] < first["accuracy"] < first["interval"][1] or first["accuracy"] == 1
    assert set(first["per_label"]) == {row["label"] for row in ROWS}
    assert len(first["per_group"]) == len({row["group"] for row in ROWS})
    assert np.array(first["confusion"]).sum() == len(ROWS)
    for other in told[1:]:  # the same integers, so the same confusion
        assert other["confusion"] == first["confusion"]


def test_the_text_form_shows_the_accuracy_and_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "a.flac").write_bytes((CLIPS / "yes-0.flac").read_bytes())
    (tmp_path / "yes" / "b.wav").write_text("not audio")
    soundfile.write(tmp_path / "yes" / "c.wav", np.zeros(0, np.int16), 16000)
    result = edgeres_here("evaluate", "default", tmp_path)
    assert result.returncode == 0, result.stderr.decode()
    text = result.stdout.decode()
    assert "n = 1" in text
    assert "left out: 1 clip (cannot be read as audio: Format not recognised): b.wav\n" in text
    assert "left out: 1 clip (empty or silent): c.wav\n" in text


def test_data_without_usable_clips_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = edgeres_here("evaluate", "default", tmp_path)
    assert result.returncode == 8
    assert "There are no clips in" in sentence(result)


def test_a_short_clip_lies_in_noise_like_its_own_quietest_part() -> None:
    manifest = read_bundle("default").manifest
    rng = np.random.default_rng(0)
    hiss = np.diff(rng.normal(0, 0.001, (16001, 1)), axis=0).astype(np.float32)  # more of it at high frequencies
    clip = hiss.copy()
    clip[4000:8000] *= 100
    window = manifest.front_end.samples_of(manifest.frames)
    made = placed(manifest, clip, window)
    assert len(made) == window
    at, fade = (window - 16000) // 2, 160
    np.testing.assert_array_equal(made[at + fade : at + 16000 - fade], clip[fade:-fade])
    power = np.square(np.abs(np.fft.rfft(made[:at, 0])))
    assert 0.8 * hiss.std() < made[:at].std() < 1.25 * hiss.std()
    assert power[len(power) // 2 :].sum() > 3 * power[: len(power) // 2].sum()
    clip[0] = clip[-1] = 0.9
    assert np.abs(placed(manifest, clip, window)[[at, at + 15999]]).max() < 0.02
    longer = placed(manifest, np.zeros((3 * window, 1), np.float32), window)
    hop = manifest.hop * manifest.front_end.hop_length
    assert len(longer) >= 3 * window
    assert (len(longer) - window) % hop == 0


def test_the_quietest_part_has_the_least_power() -> None:
    clip = np.array([3, 1, -1, 0, 2, 0, 0.5, 9], np.float32)[:, None]
    assert quietest(clip, 2).tolist() == [[0], [0.5]]
    assert len(quietest(clip, 100)) == 8


def test_a_word_anywhere_in_a_long_clip_is_found() -> None:
    bundle = read_bundle("default")
    chain = Chain(bundle.manifest, load_model(bundle, load_engine("litert")))
    clip = soundfile.read(CLIPS / "yes-0.flac", dtype="float32", always_2d=True)[0]
    noise = np.random.default_rng(0).normal(0, 1e-4, (80000, 1)).astype(np.float32)
    noise[30000:46000] += clip
    scores = score_clip([chain], bundle.manifest, noise)
    assert bundle.manifest.labels[scores.argmax()] == "yes"


def test_an_ensemble_of_a_bundle_with_itself_is_the_bundle(tmp_path: Path) -> None:
    path = CLIPS.parent.parent / "edge_res" / "data" / "default.edgeres"
    one = edgeres("listen", DEMO, "--format", "jsonl", "--scores")
    two = edgeres("listen", DEMO, "--model", f"default+{path}", "--format", "jsonl", "--scores")
    assert two.returncode == 0, two.stderr.decode()
    assert one.stdout.strip()
    assert one.stdout == two.stdout
    assert b"default + default" in two.stderr


def test_bundles_that_cannot_decide_together_are_refused() -> None:
    manifest = read_bundle("default").manifest
    with pytest.raises(ConfigError, match="cannot be an ensemble: their hop are 8 and 4"):
        merged([manifest, replace(manifest, hop=4)])


def test_figures() -> None:
    told = measure(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), ("a", "b", "c"), ["x", "x", "y", "y"])
    assert told["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert told["accuracy"] == 0.75
    assert told["per_label"] == {"a": 0.6667, "b": 1.0}
    assert told["per_group"]["y"] == {"accuracy": 0.5, "interval": wilson(1, 2), "n": 2}


def test_unseen_are_the_groups_of_the_models_own_validation() -> None:
    manifest = read_bundle("default").manifest
    splits = Splits(validation=0.5)
    told = replace(manifest, training={"settings": {"seed": 3, "splits": asdict(splits)}})
    entries = [Entry(CLIPS, "", label, f"g{i}") for i in range(40) for label in ("yes", "_silence_")]
    kept, sentence = unseen_entries(entries, told)
    assert {entry.group for entry in kept} == {
        f"g{i}" for i in range(40) if splits.split_of(f"g{i}", 3) == "validation"
    }
    assert {entry.label for entry in kept} == {"yes"}
    assert sentence == f"{80 - len(kept)} clips of groups that default was not validated on"
    with pytest.raises(DataError, match="does not state which groups it was trained on"):
        unseen_entries(entries, replace(manifest, training={}))


@pytest.fixture
def long_manifest(tmp_path: Path) -> Path:
    """The demo recording with its words as intervals, and hiss in which nothing is said."""
    told = json.loads(DEMO.with_suffix(".json").read_text())
    rows = [f"{DEMO},{word['label']},{word['onset_s']},{word['end_s']}" for word in told["words"]]
    hiss = np.random.default_rng(0).normal(0, 100, 30 * 16000).astype(np.int16)
    soundfile.write(tmp_path / "hiss.wav", hiss, 16000)
    (tmp_path / "long.csv").write_text("\n".join(("file,label,start_s,end_s", *rows, "hiss.wav,noise,,")) + "\n")
    return tmp_path / "long.csv"


def test_long_recordings_give_misses_and_false_accepts_an_hour(long_manifest: Path) -> None:
    """The same words that `listen` reports."""
    told = json.loads(DEMO.with_suffix(".json").read_text())
    result = edgeres_here("evaluate", "default", long_manifest, "--json")
    assert result.returncode == 0, result.stderr.decode()
    stream = json.loads(result.stdout)["stream"]
    heard = [event for event in lines(edgeres("listen", DEMO, "--format", "jsonl")) if event["event"] == "on"]
    spoken = [word for word in told["words"] if word["label"] != "_unknown_"]
    hits = [
        any(e["label"] == w["label"] and w["onset_s"] <= e["at_s"] <= w["end_s"] + 1 for e in heard) for w in spoken
    ]
    assert stream["recordings"] == 2
    assert stream["hours"] == pytest.approx((told["samples"] / 16000 + 30) / 3600, abs=1e-4)
    assert stream["words"] == len(spoken)
    assert stream["missed"] == hits.count(False)
    assert stream["false_accepts"] == len(heard) - hits.count(True)
    assert stream["per_label"]["yes"]["words"] == sum(word["label"] == "yes" for word in spoken)

    text = edgeres_here("evaluate", "default", long_manifest).stdout.decode()
    assert f"2 long recordings, 0.9 minutes: {stream['missed']} of {len(spoken)} words missed" in text

    rows = long_manifest.read_text().splitlines()
    lied = [row.replace(",yes,", ",no,") for row in rows]  # an event where another word is, is false
    long_manifest.write_text("\n".join(lied) + "\n")
    wrong = json.loads(edgeres_here("evaluate", "default", long_manifest, "--json").stdout)["stream"]
    many = stream["per_label"]["yes"]["words"] - stream["per_label"]["yes"]["missed"]
    assert many > 0
    assert wrong["missed"] == stream["missed"] + many
    assert wrong["false_accepts"] == stream["false_accepts"] + many
    assert wrong["false_accepts_an_hour"] == pytest.approx(wrong["false_accepts"] / wrong["hours"], rel=1e-2)


def test_noise_alone_gives_false_accepts(long_manifest: Path) -> None:
    rows = long_manifest.read_text().splitlines()
    long_manifest.write_text("\n".join((rows[0], rows[-1])) + "\n")
    result = edgeres_here("evaluate", "default", long_manifest)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.decode() == "1 long recordings, 0.5 minutes: 0 false accepts, 0 an hour\n"


def test_a_long_recording_is_resampled_and_mixed_as_listen_does_it(tmp_path: Path) -> None:
    """To its end: the demo at another rate, in two channels, is heard as `listen --channel mix` hears it."""
    bundle = read_bundle("default")
    demo, _ = soundfile.read(DEMO, dtype="float32", always_2d=True)
    other = soxr.resample(np.repeat(demo, 2, axis=1), 16000, 44100)
    soundfile.write(tmp_path / "x.wav", other, 44100, subtype="FLOAT")
    chain = Chain(bundle.manifest, load_model(bundle, load_engine("litert")))
    events, audio_s = heard([chain], bundle.manifest, tmp_path / "x.wav")
    listened = lines(edgeres("listen", tmp_path / "x.wav", "--channel", "mix", "--format", "jsonl"))
    expected = [(event["label"], event["at_s"]) for event in listened if event["event"] == "on"]
    assert expected
    assert [(event.label, event.at_s) for event in events] == expected
    assert audio_s == pytest.approx(len(other) / 44100)
