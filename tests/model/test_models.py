"""The window model on an engine whose inputs can be seen, heads, quantization, and the choice of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_res.choices import ENGINES
from edge_res.engines import RunnerClass, TensorSpec
from edge_res.errors import EngineError
from edge_res.flow import Frames
from edge_res.model import models
from edge_res.model.heads import softmax
from edge_res.model.models import StepModel, WindowModel, choose_engine
from edge_res.model.quantization import quantize


class Echo:
    """A runner that keeps its last window and answers with the last frame's bins as logits."""

    engine = "echo"
    inputs: tuple[TensorSpec, ...] = (TensorSpec("frames", (1, 12, 3, 1), np.dtype(np.int8), 0.5, -3),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("logits", (1, 3), np.dtype(np.int8), 0.1, 5),)

    def __init__(self) -> None:
        self.window = np.zeros(0, np.int8)

    def run(self, *inputs: NDArray[Any]) -> Sequence[NDArray[Any]]:
        self.window = inputs[0][0, :, :, 0].copy()
        return [inputs[0][:, -1, :, 0].copy()]

    def advance(self, frames: NDArray[Any]) -> NDArray[Any]:
        (logits,) = self.run(frames)
        return logits

    def fork(self) -> Echo:
        return self


def test_a_model_scores_with_its_head() -> None:
    def largest(logits: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
        return np.array([logits.max() * spec.scale], np.float32)

    class EchoStep(Echo):
        inputs: tuple[TensorSpec, ...] = (TensorSpec("frames", (1, 4, 3, 1), np.dtype(np.int8), 0.5, -3),)

    for model in (StepModel(EchoStep(), 12, 4, largest), WindowModel(Echo(), 12, 4, largest)):
        frames: Frames = np.full((4, 3, 1), 4, np.float32)
        for scored in (model, model.fork()):
            assert [scored.push(frames) for _ in range(2)] == [None, None]
            assert scored.push(frames) == np.float32(0.5)  # 4 / 0.5 - 3, of the scale 0.1


def test_the_window_is_the_last_frames_at_every_hop() -> None:
    runner = Echo()
    model = WindowModel(runner, frames=12, hop=4)
    frames: Frames = (np.arange(80 * 3).reshape(80, 3, 1) / 8 - 20).astype(np.float32)
    integers = np.empty(frames.shape, np.int8)
    quantize(frames, runner.inputs[0], integers)
    for end in range(4, 81, 4):
        scores = model.push(frames[end - 4 : end])
        if end < 12:
            assert scores is None  # which is not 0
        else:
            assert scores is not None
            np.testing.assert_array_equal(runner.window, integers[end - 12 : end, :, 0])
            np.testing.assert_array_equal(scores, softmax(integers[end - 1, :, 0], runner.outputs[0]))
        if end == 60:
            model.reset()
            frames = np.roll(frames, -60, axis=0)
            integers = np.roll(integers, -60, axis=0)
            break
    assert model.push(frames[:4]) is None
    assert model.push(frames[4:8]) is None
    assert model.push(frames[8:12]) is not None
    np.testing.assert_array_equal(runner.window, integers[:12, :, 0])


def test_only_whole_hops_are_accepted() -> None:
    with pytest.raises(ValueError, match="push one hop"):
        WindowModel(Echo(), 12, 4).push(np.zeros((3, 3, 1), np.float32))


@pytest.mark.parametrize(("dtype", "shift"), [(np.int8, 0), (np.uint8, 128)])
def test_quantization_rounds_half_to_even_and_clips(dtype: type, shift: int) -> None:
    spec = TensorSpec("x", (5,), np.dtype(dtype), 0.5, -3 + shift)
    out: NDArray[Any] = np.empty(6, dtype)
    quantize(np.array([0, 0.25, 0.75, 1, 1000, -1000], np.float32), spec, out)
    np.testing.assert_array_equal(out.astype(int) - shift, [-3, -3, -1, -1, 127, -128])


def test_softmax_of_integers() -> None:
    spec = TensorSpec("y", (1, 3), np.dtype(np.uint8), 0.1, 128)
    scores = softmax(np.array([128, 138, 118], np.uint8), spec)
    expected = np.exp([0, 1, -1]) / np.exp([0, 1, -1]).sum()
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    widest = softmax(np.array([-128, 127, -128], np.int8), spec)
    np.testing.assert_allclose(widest, [np.exp(-25.5), 1, np.exp(-25.5)], rtol=1e-6)
    assert scores.dtype == np.float32


def missing(*names: str) -> Any:
    """An engine loader for which some engines are not installed."""

    def load(name: str) -> str:
        if name in names:
            raise EngineError(f"{name} is not installed.")
        return name

    return load


def choice(name: str | None, *order: str) -> tuple[RunnerClass | str, str | None]:
    return choose_engine(name, order or tuple(ENGINES))


def test_the_first_installed_engine_is_used_and_a_change_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models, "load_engine", missing("litert"))
    told = "litert is not installed. Using tflite-runtime instead, the next in order."
    assert choice(None) == ("tflite-runtime", told)
    assert choice(None, "onnxruntime", "litert") == ("onnxruntime", None)
    with pytest.raises(EngineError, match="litert is not installed"):
        choose_engine("litert")  # asked for by name
    monkeypatch.setattr(models, "load_engine", missing("onnxruntime"))
    with pytest.raises(EngineError, match="onnxruntime is not installed"):
        choice(None, "onnxruntime")
    assert choice(None) == ("litert", None)
    assert choice("tflite-runtime") == ("tflite-runtime", None)
    monkeypatch.setattr(models, "load_engine", missing("litert", "tflite-runtime"))
    found, said = choice(None)
    assert (found, said) == (
        "onnxruntime",
        "litert is not installed. tflite-runtime is not installed. Using onnxruntime instead, the next in order.",
    )
    monkeypatch.setattr(models, "load_engine", missing(*ENGINES))
    with pytest.raises(EngineError, match="litert is not installed"):
        choose_engine(None)
