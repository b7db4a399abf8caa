"""Models: frames in, scores out, on an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_res.choices import ENGINES, MODES
from edge_res.engines import Runner, RunnerClass, load_engine
from edge_res.errors import ConfigError, EngineError, ModelError
from edge_res.flow import Frames
from edge_res.model.bundle import Bundle
from edge_res.model.heads import HEADS, Head, softmax
from edge_res.model.quantization import quantize


def load_runner(bundle: Bundle, engine: RunnerClass, mode: str, threads: int = 1) -> Runner:
    """The bundle's step or window model in an engine, checked against the bundle's manifest."""
    name = f"{mode}.{engine.suffix}"
    runner = engine(bundle.file(name), threads)
    manifest = bundle.manifest
    columns = manifest.hop if mode == "step" else manifest.frames
    expected = (1, columns, manifest.front_end.bins, manifest.front_end.channels), (1, len(manifest.labels))
    found = runner.inputs[0].shape, runner.outputs[0].shape
    if found != expected:
        raise ModelError(
            f"{name} in the bundle {manifest.name!r} has the shapes {found}, but its manifest says {expected}; "
            "export it again."
        )
    return runner


def load_model(
    bundle: Bundle, engine: RunnerClass, mode: str | None = None, threads: int = 1
) -> StepModel | WindowModel:
    """A model for one stream; by default the step model, if the bundle has one."""
    if mode not in (*MODES, None):
        raise ConfigError(f"There is no mode {mode!r}; use {' or '.join(MODES)}.")
    mode = mode or ("step" if f"step.{engine.suffix}" in bundle.files else "window")
    kind = StepModel if mode == "step" else WindowModel
    manifest = bundle.manifest
    return kind(load_runner(bundle, engine, mode, threads), manifest.frames, manifest.hop, HEADS[manifest.head])


def choose_engine(name: str | None, order: Sequence[str] = tuple(ENGINES)) -> tuple[RunnerClass, str | None]:
    """The engine `name`, or without a name the first of `order` that can be imported here.

    Returns the engine and, where it is not the first, a sentence that says why. An engine given by name is never
    replaced. Raises `EngineError` if none can be imported.
    """
    if name is not None:
        return load_engine(name), None
    first, *others = order
    try:
        return load_engine(first), None
    except EngineError as missing:
        if not others:
            raise
        try:
            engine, instead = choose_engine(None, others)
        except EngineError:
            raise missing from None
        return engine, f"{missing} {instead or f'Using {others[0]} instead, the next in order.'}"


class Model(Protocol):
    """Frames of one hop in, scores out; None until the window is full, which is not the same as 0."""

    def push(self, frames: Frames) -> NDArray[np.float32] | None: ...
    def reset(self) -> None: ...


class ModelWithLogits(Model, Protocol):
    """A model that keeps the integers behind its last scores, `(labels,)`, as the engine returns them."""

    runner: Runner
    logits: NDArray[Any]


class StepModel:
    """Computes only what a hop adds; the engine carries the state from hop to hop.

    `push` takes the frames of one hop and returns the scores of the window that ends with them, float32 `(labels,)`, or
    None until `frames` frames have come: the same integers, and so the same scores, as `WindowModel`. `logits`
    `(labels,)` are the integers behind the last scores, as the engine returns them; the next push overwrites them.
    """

    mode = "step"

    def __init__(self, runner: Runner, frames: int, hop: int, head: Head = softmax) -> None:
        self.runner = runner
        self._head = head
        self._hop = hop
        self._needed = frames // hop
        self._hops = 0
        self._quantized = np.zeros(runner.inputs[0].shape, runner.inputs[0].dtype)
        self.logits: NDArray[Any] = np.zeros(runner.outputs[0].shape[1:], runner.outputs[0].dtype)

    def fork(self) -> StepModel:
        """The same model for another stream."""
        return StepModel(self.runner.fork(), self._needed * self._hop, self._hop, self._head)

    def reset(self) -> None:
        """Start a new stream: by the next score, nothing of the old one is left in the states."""
        self._hops = 0

    def push(self, frames: Frames) -> NDArray[np.float32] | None:
        """Float32 `(hop, bins, channels)` in, scores or None out."""
        quantize(frames, self.runner.inputs[0], self._quantized[0])
        logits = self.runner.advance(self._quantized)
        if self._hops < self._needed - 1:
            self._hops += 1
            return None
        self.logits = logits[0]
        return self._head(self.logits, self.runner.outputs[0])


class WindowModel:
    """Recomputes the whole window at each hop.

    `push` takes the frames of one hop and returns the scores of the window that ends with them, float32 `(labels,)`, or
    None until `frames` frames have come. `logits` `(labels,)` are the integers behind the last scores, as the engine
    returns them.
    """

    mode = "window"

    def __init__(self, runner: Runner, frames: int, hop: int, head: Head = softmax) -> None:
        self.runner = runner
        self._head = head
        self.frames = frames
        self.hop = hop
        (self._input,) = runner.inputs
        (self._output,) = runner.outputs
        # A window is a contiguous slice: columns are appended up to the end, then the last ones move to the front.
        self._columns = np.zeros((2 * frames, *self._input.shape[2:]), self._input.dtype)
        self._filled = 0
        self.logits: NDArray[Any] = np.zeros(self._output.shape[1:], self._output.dtype)

    def fork(self) -> WindowModel:
        """The same model for another stream; the engine is shared, since it carries no state."""
        return WindowModel(self.runner, self.frames, self.hop, self._head)

    def reset(self) -> None:
        """Start a new stream: no scores until the window is full again."""
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
        self.logits = self.runner.run(window[None])[0][0]
        return self._head(self.logits, self._output)
