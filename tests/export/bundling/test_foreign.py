"""Networks not made here: another architecture, torch's exporter, ONNX Runtime's default quantization."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import ExportError
from edge_res.export.bundling.foreign import from_onnx
from tests.edgeres import CLIPS, edgeres, edgeres_here, lines, sentence
from tests.export.bundling.test_packaging import CONFIG

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
    run = edgeres_here("export", path, "--config", folder / "net.toml", "-o", out)
    assert run.returncode == 0, run.stderr.decode()
    (found,) = lines(edgeres("verify", out, "--json"))
    assert found["passed"]
    assert all(check["differing"] == 0 for check in found["checks"])
    assert [check["mode"] for check in found["checks"]] == ["window", "step"] * 2


def test_an_lstm_is_refused_in_one_sentence(folder: Path) -> None:
    save(Recurrent(), folder / "lstm.onnx")
    run = edgeres_here("export", folder / "lstm.onnx", "--config", folder / "net.toml", "-o", folder / "x.edgeres")
    assert run.returncode == 9
    assert "LSTM" in sentence(run)
    assert "recurrent networks are not supported" in sentence(run)
    assert not (folder / "x.edgeres").exists()


def test_what_is_not_onnx_or_not_there_is_refused(folder: Path) -> None:
    (folder / "text.onnx").write_text("hello")
    for name, part in (("text.onnx", "not a valid ONNX file"), ("none.onnx", "none.onnx cannot be read")):
        run = edgeres_here("export", folder / name, "--config", folder / "net.toml", "-o", folder / "x.edgeres")
        assert run.returncode == 9
        assert part in sentence(run)


def described(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("hop = 8", "hop = 0", "hop is 0, expected 1 frame or more"),
        ("hop = 8", "hop = -8", "hop is -8, expected 1 frame or more"),
        ("hop = 8", 'hop = "8"', "hop is '8', expected a whole number"),
        ("hop = 8", "hop = 8.0", "hop is 8.0, expected a whole number"),
        ("hop = 8", "hop = 12", "40 frames cannot be divided into hops of 12; the nearest hops that fit are 10 and 20"),
        ("hop = 8", "hop = 41", "40 frames cannot be divided into hops of 41; the nearest hops that fit are 40"),
        ('"clips"', "3", "calibration is 3, expected a string"),
        ("hop = 8", 'hop = 8\ndelay_s = "x"', "delay_s is 'x', expected a number"),
        ("hop = 8", "hop = 8\ndelay_s = nan", "its delay of nan s is not a time"),
        ("hop = 8", "hop = 8\nthresholds = 0.5", "thresholds is 0.5, expected a table"),
        ("hop = 8", 'hop = 8\nthresholds = {yes = "a"}', "thresholds: yes is 'a', expected a number"),
        ("hop = 8", "hop = 8\nthresholds = {yes = 2}", "thresholds are not all above 0 and at most 1"),
        (
            "hop = 8",
            "hop = 8\nthresholds = {up = 0.5}",
            "thresholds names ['up'], expected only labels out of ['yes', 'no']",
        ),
        ("hop = 8", "hop = 8\nthresholds = {_silence_ = 0.5}", "thresholds names ['_silence_']"),
        ('["yes", "no", "_silence_"]', '"yes"', "labels is 'yes', expected a list, each a string"),
        ('["yes", "no", "_silence_"]', '["yes", "yes", "_silence_"]', "its labels are empty or not unique"),
        ('background = ["_silence_"]', 'background = ["quiet"]', "background labels ['quiet'] are not all among"),
        ("[front_end]", "[front_end]\nwindow = 3", "Invalid front-end parameters: expected"),
    ],
)
def test_an_invalid_description_is_refused_before_anything_is_read(
    tmp_path: Path, old: str, new: str, part: str
) -> None:
    save(convolutional(), tmp_path / "net.onnx")
    (tmp_path / "net.toml").write_text(described(CONFIG, old, new))
    with pytest.raises(ExportError) as raised:
        from_onnx(tmp_path / "net.onnx", tmp_path / "net.toml")
    assert part in str(raised.value)
    assert str(tmp_path / "net.toml") in str(raised.value) or "divided into hops" in part


def test_a_description_says_what_the_file_cannot(folder: Path) -> None:
    save(convolutional(), folder / "net.onnx")
    more = "hop = 8\ndelay_s = 1\nthresholds = {yes = 1}"
    (folder / "net.toml").write_text(described(CONFIG, "hop = 8", more))
    material = from_onnx(folder / "net.onnx", folder / "net.toml")
    assert (material.delay_s, dict(material.decide.thresholds)) == (1.0, {"yes": 1.0, "no": 0.6})
    assert material.calibration.shape[1:] == (40, 40, 1)


def test_the_clips_may_be_named_on_the_command_line(folder: Path) -> None:
    save(convolutional(), folder / "net.onnx")
    (folder / "net.toml").write_text(described(CONFIG, 'calibration = "clips"', ""))
    (folder / "one").mkdir()
    (folder / "clips" / "no-0.wav").rename(folder / "one" / "no-0.wav")
    asked = ("export", folder / "net.onnx", "--config", folder / "net.toml", "-o", folder / "x.edgeres")
    assert "lacks the keys ['calibration']" in sentence(edgeres_here(*asked))
    run = edgeres_here(*asked, "--calibration", folder / "one")
    assert run.returncode == 0, run.stderr.decode()
    told = run.stderr.decode()
    assert "on 59 calibration windows: the same label in" in told  # 98 frames of one clip


def test_options_that_mean_nothing_are_refused(folder: Path) -> None:
    save(convolutional(), folder / "net.onnx")
    quantize_by_default(folder / "net.onnx", folder / "qdq.onnx")
    config, out = ("--config", folder / "net.toml"), ("-o", folder / "x.edgeres")
    for arguments, part in (
        ((folder / "net.onnx", *config, *out, "--data", folder), "--data is for a run folder"),
        ((folder / "qdq.onnx", *config, *out, "--ranges", "entropy"), "is already quantized and keeps its ranges"),
        ((folder, *config, *out), "--config describes an ONNX file"),
        ((folder / "net.onnx", *config, "-o", folder), "is a folder; name a file in it"),
        ((folder / "net.onnx", *config, "-o", folder / "none" / "x.edgeres"), "there is no folder"),
    ):
        run = edgeres_here("export", *arguments)
        assert run.returncode == 2, run.stderr.decode()
        assert part in sentence(run)


def test_a_bundle_that_cannot_be_written_is_one_sentence(folder: Path) -> None:
    save(convolutional(), folder / "net.onnx")
    out = folder / ("x" * 255)
    run = edgeres_here("export", folder / "net.onnx", "--config", folder / "net.toml", "-o", out)
    assert run.returncode == 9
    assert "cannot be written: File name too long; make room, or name another file." in sentence(run)
