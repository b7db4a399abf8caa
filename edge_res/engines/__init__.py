"""Engines: what executes a model file. One module per engine, one protocol for all.

A model file takes `frames` `(1, frames, bins, channels)` and returns `logits` `(1, labels)`, both as integers: int8 in
TFLite, uint8 (the same integers plus 128) in ONNX. Scale, zero point, shape and dtype are read from the file. A step
model takes its states as further inputs and returns their next values as further outputs, in the same order; or, in
TFLite, it keeps them itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_res.choices import ENGINES
from edge_res.errors import ConfigError, EngineError, ModelError


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model: real value = (integer - zero_point) * scale."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int


class Runner(Protocol):
    """A loaded model in one engine."""

    engine: str  # name and version of the engine, for people
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, *inputs: NDArray[Any]) -> Sequence[NDArray[Any]]:
        """Compute the outputs; arrays have the shapes and dtypes of the specs."""
        ...

    def advance(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Run on `frames` with the states that the last call left, keep the new ones, return the logits.

        The next call may overwrite the logits. The initial states are meaningless: the caller must ignore the logits of
        a step model until its states are filled. For a model without states this is `run`.
        """
        ...

    def fork(self) -> Runner:
        """The same model with separate states, for another stream; everything else is shared where possible."""
        ...


class RunnerClass(Protocol):
    """The constructor of an engine: from the bytes of a model file."""

    suffix: str  # of the model files that it executes, "tflite" or "onnx"

    def __call__(self, model: bytes, threads: int) -> Runner: ...


def load_engine(name: str) -> RunnerClass:
    """The class of an engine, with its package imported; raises an `EngineError` that says what to install."""
    if name not in ENGINES:
        raise ConfigError(f"There is no engine {name!r}; use one of {', '.join(ENGINES)}.")
    module, _, attribute = ENGINES[name].runner.partition(":")
    runner: RunnerClass = getattr(importlib.import_module(module), attribute)
    return runner


def check_states(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    """Raise a `ModelError` unless the states a model takes have the shapes and dtypes of the states it returns."""
    before, after = ([(spec.shape, spec.dtype) for spec in specs[1:]] for specs in (inputs, outputs))
    if before != after:
        raise ModelError(
            f"The model's states {[spec.name for spec in inputs[1:]]} must have the shapes and dtypes of its outputs "
            f"{[spec.name for spec in outputs[1:]]} in the same order; export it again."
        )


__all__ = [
    "EngineError",
    "Runner",
    "RunnerClass",
    "TensorSpec",
    "check_states",
    "load_engine",
]
