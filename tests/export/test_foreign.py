"""Networks not made here: another architecture, torch's exporter, ONNX Runtime's default quantization."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from tests.edgeres import CLIPS, edgeres, lines, sentence
from tests.export.test_packaging import CONFIG

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's classic exporter warns of all kinds of things


def convolutional() -> Any:
    """A small network as a tutorial would write it: pools, a flattened image, two linear layers."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, (5, 5), padding=(0, 2)), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=(1, 2), padding=(0, 1)), nn.ReLU(), nn.AvgPool2d((1, 2)),
        nn.Flatten(), nn.Linear(8 * 16 * 5, 12), nn.ReLU(), nn.Linear(12, 3),
    )  # fmt: skip


class Recurrent(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(40, 8, batch_first=True)
        self.classifier = torch.nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.lstm(x[:, 0])[0][:, -1])


def save(net: Any, path: Path) -> None:
    torch.manual_seed(0)
    torch.onnx.export(net.eval(), (torch.zeros(1, 1, 40, 40),), path, input_names=["mel"], dynamo=False)


def quantize_by_default(source: Path, sink: Path) -> None:
    """As ONNX Runtime does by itself: int8 activations, one scale for all weights of a layer."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            rng = np.random.default_rng(0)
            self.feeds: Iterator[Any] = iter({"mel": rng.normal(0, 1, (1, 1, 40, 40)).astype("f4")} for _ in range(8))

        def get_next(self) -> Any:
            return next(self.feeds, None)

    prepared = sink.with_suffix(".prepared")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, sink, Reader())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The description of such a network, and clips."""
    (tmp_path / "net.toml").write_text(CONFIG)
    (tmp_path / "clips").mkdir()
    for name in ("yes-0", "no-0", "stop-0"):
        samples, rate_hz = soundfile.read(CLIPS / f"{name}.flac", dtype="int16")
        soundfile.write(tmp_path / "clips" / f"{name}.wav", samples, rate_hz)
    return tmp_path


@pytest.mark.parametrize("quantized", [False, True], ids=["float", "QDQ"])
def test_a_network_of_another_kind_goes_through(folder: Path, quantized: bool) -> None:
    path = folder / "net.onnx"
    save(convolutional(), path)
    if quantized:
        quantize_by_default(path, folder / "qdq.onnx")
        path = folder / "qdq.onnx"
    out = folder / "net.edgeres"
    run = edgeres("export", path, "--config", folder / "net.toml", "-o", out)
    assert run.returncode == 0, run.stderr.decode()
    (found,) = lines(edgeres("verify", out, "--json"))
    assert found["passed"]
    assert all(check["differing"] == 0 for check in found["checks"])
    assert [check["mode"] for check in found["checks"]] == ["window", "step"] * 2


def test_an_lstm_is_refused_in_one_sentence(folder: Path) -> None:
    save(Recurrent(), folder / "lstm.onnx")
    run = edgeres("export", folder / "lstm.onnx", "--config", folder / "net.toml", "-o", folder / "x.edgeres")
    assert run.returncode == 9
    assert "LSTM" in sentence(run)
    assert "recurrent networks have no form here" in sentence(run)
    assert not (folder / "x.edgeres").exists()


def test_what_is_no_onnx_or_not_there_is_refused(folder: Path) -> None:
    (folder / "text.onnx").write_text("hello")
    for name, part in (("text.onnx", "not a valid ONNX file"), ("none.onnx", "none.onnx cannot be read")):
        run = edgeres("export", folder / name, "--config", folder / "net.toml", "-o", folder / "x.edgeres")
        assert run.returncode == 9
        assert part in sentence(run)
