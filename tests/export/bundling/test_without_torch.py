"""An ONNX file is exported without PyTorch: the extra `export` is enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper, numpy_helper

from tests.edgeres import CLIPS, edgeres, lines, sentence

CONFIG = """
labels = ["yes", "no", "_silence_"]
background = ["_silence_"]
hop = 8
calibration = "clips"
[front_end]
kind = "log-mel"
sample_rate_hz = 16000
channels = 1
n_fft = 512
win_length = 480
hop_length = 160
low_hz = 20.0
high_hz = 7600.0
log_floor = 1e-6
bins = 40
mean = [{mean}]
gain = [{gain}]
""".format(mean=", ".join(["-6.0"] * 40), gain=", ".join(["0.3"] * 40))
ABSENT = "import sys; sys.modules.update(dict.fromkeys(['torch', 'sklearn', 'matplotlib', 'jinja2', 'sympy']))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network written with `onnx.helper`, its description, and clips."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (6, 1, 5, 40), "weights": (3, 6)}
    constants = [
        numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name) for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["mel", "kernel"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, (1, 1, 40, 40))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    (tmp_path / "net.toml").write_text(CONFIG)
    (tmp_path / "clips").mkdir()
    for name in ("yes-0", "no-0"):
        samples, rate_hz = soundfile.read(CLIPS / f"{name}.flac", dtype="int16")
        soundfile.write(tmp_path / "clips" / f"{name}.wav", samples, rate_hz)
    return tmp_path


def test_an_onnx_file_needs_no_torch(folder: Path) -> None:
    arguments = ("export", folder / "net.onnx", "--config", folder / "net.toml", "-o", folder / "net.edgeres")
    run = edgeres(*arguments, before=ABSENT)
    assert run.returncode == 0, run.stderr.decode()
    (found,) = lines(edgeres("verify", folder / "net.edgeres", "--json"))
    assert found["passed"]


def test_what_an_onnx_file_needs_is_named(folder: Path) -> None:
    run = edgeres(
        "export", folder / "net.onnx", "--config", folder / "net.toml", before="import sys; sys.modules['onnx'] = None"
    )
    assert run.returncode == 7
    assert "requires the package onnx" in sentence(run)
    assert "`pip install '.[export]'`" in sentence(run)


def test_a_run_folder_says_what_to_install(tmp_path: Path) -> None:
    run = edgeres("export", tmp_path, "-o", tmp_path / "x.edgeres", before=ABSENT)
    assert run.returncode == 7
    assert "requires the package torch" in sentence(run)
    assert "`pip install '.[train]'`" in sentence(run)
