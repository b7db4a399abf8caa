"""Models: frames in, scores out, over an engine."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_res.bundle import Bundle
from edge_res.engines import DEFAULT_ENGINE, Runner, RunnerClass, TensorSpec, load_engine
from edge_res.errors import EngineError, ModelError
from edge_res.flow import Frames


def load_window_runner(bundle: Bundle, engine: RunnerClass, threads: int) -> Runner:
    """The bundle's window model in an engine, checked against the bundle's manifest."""
    name = f"window.{engine.suffix}"
    runner = engine(bundle.member(name), threads)
    manifest = bundle.manifest
    expected = (
        ((1, manifest.frames, manifest.front_end.bins, manifest.front_end.channels),),
        ((1, len(manifest.labels)),),
    )
    found = (tuple(spec.shape for spec in runner.inputs), tuple(spec.shape for spec in runner.outputs))
    if found != expected:
        raise ModelError(
            f"The member {name} of the bundle {manifest.name!r} has the shapes {found}, its manifest says {expected}; "
            "export it again."
        )
    return runner


def choose_engine(name: str | None, preferred: str = DEFAULT_ENGINE) -> tuple[RunnerClass, str | None]:
    """The engine asked for, or the preferred one; where LiteRT cannot be imported, tflite-runtime.

    Returns the engine and, where it is not the one preferred, the sentence that says so. An engine that was asked for
    by name is never replaced.
    """
    if name is not None:
        return load_engine(name), None
    try:
        return load_engine(preferred), None
    except EngineError as missing:
        if preferred != "litert":
            raise
        try:
            return load_engine("tflite-runtime"), f"{missing} Running on tflite-runtime instead."
        except EngineError:
            raise missing from None


def quantize(frames: Frames, spec: TensorSpec, out: NDArray[Any]) -> None:
    """`rint(frames / scale) + zero point`, clipped to the range of `out`'s dtype, the one quantization there is."""
    limits = np.iinfo(spec.dtype)
    scaled = frames * np.float32(1 / spec.scale)
    np.rint(scaled, out=scaled)
    scaled += spec.zero_point
    np.clip(scaled, limits.min, limits.max, out=scaled)
    np.copyto(out, scaled, casting="unsafe")


def softmax(logits: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Scores of integer logits: float32, of the same shape, summing to 1 along the last axis."""
    real: NDArray[np.float32] = (logits.astype(np.float32) - np.float32(spec.zero_point)) * np.float32(spec.scale)
    real -= real.max(-1, keepdims=True)
    np.exp(real, out=real)
    real /= real.sum(-1, keepdims=True)
    return real


class Model(Protocol):
    """Frames of one hop in, scores out: None until enough has been seen, which is not the same as 0."""

    def push(self, frames: Frames) -> NDArray[np.float32] | None: ...
    def reset(self) -> None: ...


class WindowModel:
    """Recomputes the whole window at each hop.

    Until `frames` frames have come there is no score. `push` takes the frames of one hop and returns the scores of the
    window that ends with them, float32 `(labels,)`, or None.
    """

    def __init__(self, runner: Runner, frames: int, hop: int) -> None:
        self.frames = frames
        self.hop = hop
        self._runner = runner
        (self._input,) = runner.inputs
        (self._output,) = runner.outputs
        # A window is a contiguous slice: columns are appended until the buffer ends, then the last move to its front.
        self._columns = np.zeros((2 * frames, *self._input.shape[2:]), self._input.dtype)
        self._filled = 0

    def reset(self) -> None:
        """Forget the past: there is no score until the window is full again."""
        self._filled = 0

    def push(self, frames: Frames) -> NDArray[np.float32] | None:
        """Float32 `(hop, bins, channels)` in, scores or None out."""
        if len(frames) != self.hop:
            raise ValueError(f"push one hop of {self.hop=} frames, not {len(frames)=}")
        if self._filled == len(self._columns):
            kept = self.frames - self.hop
            self._columns[:kept] = self._columns[self._filled - kept :]
            self._filled = kept
        end = self._filled + self.hop
        quantize(frames, self._input, self._columns[self._filled : end])
        self._filled = end
        if end < self.frames:
            return None
        window = self._columns[end - self.frames : end]
        scores: NDArray[np.float32] = softmax(self._runner.run(window[None])[0], self._output)[0]
        return scores
