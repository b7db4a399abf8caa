"""`verify` and `info`, and that `listen` refuses a bundle that computes wrongly here."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_res.engines import load_engine
from edge_res.errors import ModelError
from edge_res.model.bundle import GOLDEN, Bundle, pack_golden, read_bundle, read_golden, write_bundle
from edge_res.model.models import load_model
from edge_res.model.verify import prove
from tests.edgeres import DEMO, edgeres, lines, sentence

ENGINES = ("litert", "onnxruntime")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle("default")


@pytest.fixture(scope="module")
def wrong(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete bundle with correct hashes and one wrong golden logit."""
    stream, logits = read_golden(bundle)
    logits = logits.copy()
    logits[-1, 0] ^= 1
    path = tmp_path_factory.mktemp("wrong") / "wrong.edgeres"
    write_bundle(path, replace(bundle, files={**bundle.files, GOLDEN: pack_golden(stream, logits)}))
    return path


def test_verify_compares_every_engine_and_mode() -> None:
    run = edgeres("verify")
    assert run.returncode == 0
    assert run.stdout.decode().count("equal") == 4
    (found,) = lines(edgeres("verify", "--json"))
    assert found["passed"]
    assert [(c["mode"], c["against"], c["differing"], c["passed"]) for c in found["checks"]] == [
        ("window", "golden", 0, True),
        ("step", "window", 0, True),
    ] * 2


def test_verify_compares_on_a_recording() -> None:
    (found,) = lines(edgeres("verify", "default", "--audio", DEMO, "--json"))
    assert [check["differing"] for check in found["checks"]] == [0, 0, 0]
    assert all(check["hops"] == 303 for check in found["checks"])


def test_wrong_answers_fail_verify_and_listen_refuses_them(wrong: Path) -> None:
    run = edgeres("verify", wrong)
    assert run.returncode == 6
    assert "computes wrong integers here: " in run.stderr.decode()
    assert "FAILED" in run.stdout.decode()
    for mode in ("step", "window"):
        run = edgeres("listen", "demo:", "--model", wrong, "--mode", mode)
        assert run.returncode == 6
        assert f"The {mode} model of 'default' gives wrong answers" in sentence(run)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["step", "window"])
def test_each_model_proves_itself(bundle: Bundle, engine: str, mode: str) -> None:
    prove(bundle, load_model(bundle, load_engine(engine), mode))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_missing_mode_or_file_is_refused(bundle: Bundle, engine: str) -> None:
    members = {name: content for name, content in bundle.files.items() if not name.startswith("step")}
    window_only = replace(bundle, files=members)
    assert load_model(window_only, load_engine(engine)).mode == "window"
    with pytest.raises(ModelError, match=r"has no step\."):
        load_model(window_only, load_engine(engine), "step")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_of_other_shapes_is_refused(bundle: Bundle, engine: str) -> None:
    suffix = load_engine(engine).suffix
    swapped = replace(bundle, files={**bundle.files, f"step.{suffix}": bundle.files[f"window.{suffix}"]})
    with pytest.raises(ModelError, match=r"has the shapes .* but its manifest says"):
        load_model(swapped, load_engine(engine), "step")


def test_golden_streams_that_do_not_fit_are_refused(bundle: Bundle) -> None:
    stream, logits = read_golden(bundle)
    for changed in (
        pack_golden(stream[:-8], logits),
        pack_golden(stream[:, :-1], logits),
        pack_golden(stream, logits[:, :-1]),
        pack_golden(stream[:8], logits[:0]),
        pack_golden(stream.astype(np.int16), logits),
        bundle.files[GOLDEN][:-100],
        b"",
    ):
        with pytest.raises(ModelError, match=r"golden\.npz cannot be read"):
            read_golden(replace(bundle, files={**bundle.files, GOLDEN: changed}))
    with pytest.raises(ModelError, match=r"has no golden\.npz"):
        read_golden(replace(bundle, files={}))


def test_info_shows_what_is_in_a_bundle() -> None:
    told = edgeres("info").stdout.decode()
    for part in ("log-mel", "144 frames", "80 ms", "parameters", "a hop", "step.tflite", "_unknown_", "accuracy, int8"):
        assert part in told
    (found,) = lines(edgeres("info", "default", "--json"))
    assert found["frames"] == 144
    assert found["network"]["receptive_field"] == 64
    assert found["network"]["macs_window"] > 10 * found["network"]["macs_hop"]
    assert set(found["member_bytes"]) == {"golden.npz", "step.onnx", "step.tflite", "window.onnx", "window.tflite"}
    assert json.dumps(found)


def test_golden_has_the_same_bytes_each_time(bundle: Bundle) -> None:
    stream, logits = read_golden(bundle)
    assert pack_golden(stream, logits) == pack_golden(stream, logits)
    with np.load(io.BytesIO(pack_golden(stream, logits))) as golden:
        np.testing.assert_array_equal(golden["stream"], stream)


def test_verify_takes_only_files_that_tell_their_rate(tmp_path: Path) -> None:
    for name in ("-", str(tmp_path / "samples.npy")):
        result = edgeres("verify", "default", "--audio", name)
        assert result.returncode == 2
        assert "expected a WAV, FLAC or OGG file" in sentence(result)


def test_info_survives_labels_like_markup_and_a_network_of_others(tmp_path: Path, bundle: Bundle) -> None:
    labels = ("[unk]", "[/x]", *bundle.manifest.labels[2:])
    thresholds = dict.fromkeys((label for label in labels if label not in bundle.manifest.background), 0.5)
    manifest = replace(
        bundle.manifest, labels=labels, network={"x": 1}, decide=replace(bundle.manifest.decide, thresholds=thresholds)
    )
    write_bundle(tmp_path / "x.edgeres", Bundle(manifest, bundle.files))
    told = edgeres("info", tmp_path / "x.edgeres")
    assert told.returncode == 0, told.stderr.decode()
    assert "[unk], [/x]" in told.stdout.decode()
    heard = edgeres("listen", DEMO, "--model", tmp_path / "x.edgeres", "--scores")
    assert heard.returncode == 0, heard.stderr.decode()
    assert "[unk] 0." in heard.stdout.decode()
    too_smooth = replace(manifest.decide, smooth_hops=10**9)
    with pytest.raises(ModelError, match="are out of range"):
        replace(manifest, decide=too_smooth)


def test_info_survives_figures_of_others(tmp_path: Path, bundle: Bundle) -> None:
    network, metrics = bundle.manifest.network, bundle.manifest.metrics
    odd = [
        replace(bundle.manifest, network={**network, "parameters": "many"}),
        replace(bundle.manifest, network={**network, "macs_hop": None}),
        replace(bundle.manifest, metrics={**metrics, "validation_int8": {"accuracy": "good", "interval": [1], "n": 2}}),
        replace(bundle.manifest, metrics={**metrics, "validation_float": 3}),
    ]
    for manifest in odd:
        write_bundle(tmp_path / "x.edgeres", Bundle(manifest, bundle.files))
        told = edgeres("info", tmp_path / "x.edgeres")
        assert told.returncode == 0, told.stderr.decode()
        assert "144 frames" in told.stdout.decode()
    assert ["accuracy,", "float", "3"] in [line.split() for line in told.stdout.decode().splitlines()]


def test_info_says_what_was_never_run(tmp_path: Path, bundle: Bundle) -> None:
    assert "TensorRT" not in edgeres("info").stdout.decode()
    members = {**bundle.files, "window-symmetric.onnx": b"onnx"}
    write_bundle(tmp_path / "x.edgeres", Bundle(bundle.manifest, members))
    assert "never run on TensorRT" in edgeres("info", tmp_path / "x.edgeres").stdout.decode()
