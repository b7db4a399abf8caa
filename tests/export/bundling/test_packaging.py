"""From material to a bundle: checks that stop it, foreign files, plain files beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.engines import load_engine
from edge_res.errors import DataError, ExportError
from edge_res.export.bundling import packaging, parity
from edge_res.export.bundling.foreign import from_onnx
from edge_res.export.bundling.material import Material, Validation
from edge_res.export.bundling.trained import to_onnx
from edge_res.export.formats import tflite_writer
from edge_res.export.int8.graph import Conv, Graph
from edge_res.export.nets.residual import Dense, ResNet, ResNetShape
from edge_res.export.training.runs import Run
from edge_res.export.training.settings import Spectrogram, TrainSettings
from edge_res.model.bundle import DecideParams, read_bundle
from tests.edgeres import CLIPS, edgeres, edgeres_here, lines, sentence
from tests.export.bundling.test_without_torch import CONFIG

SHAPE = ResNetShape(8, 40, 1, 3, frames=40, widths=(4, 8, 8))


def random_network(frames: int = 40) -> bytes:
    """An untrained network as float ONNX."""
    torch.manual_seed(0)
    params = Spectrogram().params()
    shape = replace(SHAPE, frames=frames)
    run = Run(TrainSettings(frames=frames), params, ("a", "b", "c"), ResNet(shape).eval(), "", {}, {})
    return to_onnx(run)


@pytest.fixture(scope="module")
def network() -> bytes:
    return random_network()


@pytest.fixture
def material(network: bytes) -> Material:
    rng = np.random.default_rng(0)
    stream = rng.normal(0, 1, (400, 40, 1)).astype(np.float32)
    return Material(
        network=network,
        labels=("yes", "no", "_silence_"),
        background=("_silence_",),
        front_end=Spectrogram().params(),
        hop=8,
        calibration=np.stack([stream[i : i + 40] for i in range(0, 320, 10)]),
        stream=stream,
        decide=DecideParams({"yes": 0.6, "no": 0.6}),
    )


def build(material: Material, out: Path) -> None:
    packaging.build(material, out, "test", "minmax", None, lambda text: None)


def test_a_bundle_has_four_models_and_describes_them(material: Material, tmp_path: Path) -> None:
    build(material, tmp_path / "x.edgeres")
    bundle = read_bundle(tmp_path / "x.edgeres")
    assert set(bundle.files) == {"golden.npz", "step.onnx", "step.tflite", "window.onnx", "window.tflite"}
    network = bundle.manifest.network
    assert network["receptive_field"] == SHAPE.receptive_field
    assert network["time_stride"] == SHAPE.time_stride
    assert network["macs_hop"] < network["macs_window"]
    runner = load_engine("onnxruntime")(bundle.files["step.onnx"], 1)
    assert network["state_bytes"] == sum(int(np.prod(spec.shape)) for spec in runner.inputs[1:])
    build(material, tmp_path / "y.edgeres")
    assert (tmp_path / "x.edgeres").read_bytes() == (tmp_path / "y.edgeres").read_bytes()


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
@pytest.mark.parametrize("mode", ["window", "step"])
def test_a_file_that_computes_otherwise_is_named_by_its_operation_and_nothing_is_written(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, mode: str
) -> None:
    spoilt: list[str] = []

    def spoiling(write: Callable[[Graph], bytes]) -> Callable[[Graph], bytes]:
        """A writer that changes one convolution of the networks of this mode."""

        def spoil(graph: Graph) -> bytes:
            if graph.input.shape[0] != (8 if mode == "step" else 40):
                return write(graph)
            ops: list[Any] = list(graph.ops)
            index = max(i for i, op in enumerate(ops) if isinstance(op, Conv))
            weight = ops[index].weight.copy()
            weight[0] = -weight[0]
            ops[index] = replace(ops[index], weight=weight)
            spoilt.append(ops[index].name)
            return write(replace(graph, ops=tuple(ops)))

        return spoil

    monkeypatch.setitem(parity.WRITERS, suffix, spoiling(parity.WRITERS[suffix]))
    if suffix == "tflite":
        monkeypatch.setattr(packaging, "write_with_variables", spoiling(tflite_writer.write_with_variables))
    with pytest.raises(ExportError, match="nothing was written") as raised:
        build(material, tmp_path / "x.edgeres")
    assert f"first at {spoilt[0]}" in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_hop_or_labels_that_do_not_fit_are_refused(material: Material, tmp_path: Path) -> None:
    for changes, text in (
        ({"hop": 6}, r"hop of 6 frames does not fit .* nearest hops that fit are 4 and 8"),
        ({"hop": 16}, r"window of 40 frames cannot be divided into hops of 16; .* are 32 and 48 frames"),
        ({"labels": ("yes", "no")}, r"gives 3 logits; .* for 2 labels"),
    ):
        with pytest.raises(ExportError, match=text):
            build(replace(material, **changes), tmp_path / "x.edgeres")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def foreign(network: bytes, tmp_path: Path) -> Path:
    """An ONNX file with a description beside it and clips to calibrate with."""
    (tmp_path / "net.onnx").write_bytes(network)
    (tmp_path / "net.toml").write_text(CONFIG)
    (tmp_path / "clips").mkdir()
    for name in ("yes-0", "no-0"):
        samples, rate_hz = soundfile.read(CLIPS / f"{name}.flac", dtype="int16")
        soundfile.write(tmp_path / "clips" / f"{name}.wav", samples, rate_hz)
    return tmp_path / "net.onnx"


def test_an_onnx_file_made_elsewhere_is_exported_and_listened_with(foreign: Path) -> None:
    out = foreign.with_suffix(".edgeres")
    config = foreign.with_suffix(".toml")
    run = edgeres_here("export", foreign, "--config", config, "-o", out, "--onnx", "--tflite")
    assert run.returncode == 0, run.stderr.decode()
    beside = {f"net.{mode}.{suffix}" for mode in ("window", "step") for suffix in ("onnx", "tflite")}
    assert beside <= {path.name for path in foreign.parent.iterdir()}
    assert (foreign.parent / "net.step.onnx").read_bytes() == read_bundle(out).files["step.onnx"]
    assert lines(edgeres("verify", out, "--json"))[0]["passed"]
    scores = lines(edgeres("listen", CLIPS / "yes-0.flac", "--model", out, "--format", "jsonl", "--scores"))
    assert {"yes", "no", "_silence_"} == set(next(line for line in scores if "scores" in line)["scores"])


def test_an_onnx_file_needs_its_description(foreign: Path) -> None:
    out = foreign.with_suffix(".edgeres")
    run = edgeres_here("export", foreign, "-o", out)
    assert run.returncode == 2
    assert "--config" in sentence(run)
    config = foreign.with_suffix(".toml")
    for text, code, part in (
        (CONFIG.replace("hop = 8", ""), 9, "lacks the keys ['hop']"),
        (CONFIG.replace("hop = 8", "hop = 8\nhopp = 9"), 9, "'hopp'"),
        (CONFIG.replace("bins = 40", "bins = 41"), 9, "41 bins"),
        (CONFIG.replace('"clips"', '"nowhere"'), 8, "no recordings in"),
        ("labels = [", 9, "not valid TOML"),
    ):
        config.write_text(text)
        run = edgeres_here("export", foreign, "--config", config, "-o", out)
        assert run.returncode == code, run.stderr.decode()
        assert part in sentence(run)
    assert not out.exists()


def test_recordings_that_the_front_end_does_not_take_are_refused(foreign: Path) -> None:
    soundfile.write(foreign.parent / "clips" / "other.wav", np.zeros((800, 2)), 8000)
    with pytest.raises(DataError, match=r"other.wav has 2 channels at 8000 Hz"):
        from_onnx(foreign, foreign.with_suffix(".toml"))


def test_a_model_for_tensorrt_comes_beside_the_others(material: Material, tmp_path: Path) -> None:
    targets = np.zeros(len(material.calibration), np.int64)
    material = replace(material, validation=Validation(material.calibration, targets, ("",) * len(targets)))
    packaging.build(material, tmp_path / "x.edgeres", "test", "minmax", "tensorrt", lambda text: None)
    bundle = read_bundle(tmp_path / "x.edgeres")
    assert "window-symmetric.onnx" in bundle.files
    assert bundle.manifest.metrics["validation_symmetric"]["n"] == len(targets)


def test_a_network_padded_along_time_is_a_window_model_and_says_why(tmp_path: Path, material: Material) -> None:
    shape = replace(SHAPE, time_padding="same")
    run = Run(TrainSettings(frames=40), Spectrogram().params(), ("a", "b", "c"), ResNet(shape).eval(), "", {}, {})
    padded = replace(material, network=to_onnx(run))
    with pytest.raises(ExportError, match=r"40 frames cannot be divided into hops of 12; the nearest .* are 10 and 20"):
        build(replace(padded, hop=12), tmp_path / "x.edgeres")
    build(padded, tmp_path / "x.edgeres")
    bundle = read_bundle(tmp_path / "x.edgeres")
    assert set(bundle.files) == {"golden.npz", "window.onnx", "window.tflite"}
    assert "a stream has no edge to pad" in bundle.manifest.network["window_only"]
    run_listen = edgeres("listen", "demo:", "--model", tmp_path / "x.edgeres", "--format", "jsonl", "--scores")
    assert "int8 window on" in run_listen.stderr.decode()
    assert len(lines(run_listen)) > 200
    assert "a stream has no edge to pad" in edgeres("info", tmp_path / "x.edgeres", "--json").stdout.decode()
    assert edgeres("listen", "demo:", "--model", tmp_path / "x.edgeres", "--mode", "step").returncode == 6


KINDS = {
    "deeper": replace(SHAPE, depth=20, frames=96),
    "bottleneck": replace(SHAPE, depth=11, bottleneck=True, widths=(4, 4, 4)),
    "plain": replace(SHAPE, shortcuts="none"),
    "identity shortcuts": replace(SHAPE, shortcuts="identity"),
    "eight channels": replace(SHAPE, channels=8),
    "time stride 1": replace(SHAPE, stem_strides=(1, 2), stage_strides=((1, 1), (1, 2), (1, 2))),
    "time stride 2": replace(SHAPE, stem_strides=(1, 2)),
}


@pytest.mark.parametrize("kind", [*KINDS, "dense"])
def test_every_kind_of_network_steps_to_the_bit(kind: str, tmp_path: Path, material: Material) -> None:
    """Through torch, ONNX Runtime's quantizer and all the checks of an export."""
    torch.manual_seed(1)
    shape = KINDS.get(kind, SHAPE)
    params = replace(Spectrogram().params(), channels=shape.channels)
    net: Any = Dense(40, 1, 3, 40) if kind == "dense" else ResNet(shape)
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, shape.channels, shape.frames, 40))
    run = Run(TrainSettings(frames=shape.frames), params, ("a", "b", "c"), net.eval(), "", {}, {})
    stream = np.random.default_rng(0).normal(0, 1, (shape.frames + 160, 40, shape.channels)).astype(np.float32)
    changed = replace(
        material,
        network=to_onnx(run),
        front_end=params,
        calibration=np.stack([stream[i : i + shape.frames] for i in range(0, 160, 10)]),
        stream=stream,
    )
    build(changed, tmp_path / "x.edgeres")
    network = read_bundle(tmp_path / "x.edgeres").manifest.network
    if kind != "dense":
        assert (network["receptive_field"], network["time_stride"]) == (shape.receptive_field, shape.time_stride)
