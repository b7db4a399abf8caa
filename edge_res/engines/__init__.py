"""Engines: what executes a model file. One module an engine, one protocol for all.

A model file takes `frames` `(1, frames, bins, channels)` and gives `logits` `(1, labels)`, both as integers: int8 in
TFLite, uint8 (the same integers plus 128) in ONNX. Scale, zero point, shape and dtype are read from the file. A step
model takes its states as further inputs and gives their next values as further outputs, in the same order; or, in
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

        The logits may be overwritten by the next call. At first the states are of no meaning: logits of a step model
        count only once its states are filled, which the caller counts. A model without states has nothing to carry:
        this is then `run`.
        """
        ...

    def fork(self) -> Runner:
        """The same model with states of its own, for another stream; what can be shared is."""
        ...


class RunnerClass(Protocol):
    """How an engine's class is made: from the bytes of a model file."""

    suffix: str  # of the model files that it executes: "tflite" or "onnx"

    def __call__(self, model: bytes, threads: int) -> Runner: ...


def load_engine(name: str) -> RunnerClass:
    """The class behind an engine's name, its package imported; a missing one is an `EngineError` with the way out."""
    if name not in ENGINES:
        raise ConfigError(f"There is no engine {name!r}; known are {', '.join(ENGINES)}.")
    module, _, attribute = ENGINES[name].runner.partition(":")
    runner: RunnerClass = getattr(importlib.import_module(module), attribute)
    return runner


def check_states(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    """Refuse a model whose inputs after the first are not what its outputs after the first become."""
    before, after = ([(spec.shape, spec.dtype) for spec in specs[1:]] for specs in (inputs, outputs))
    if before != after:
        raise ModelError(
            f"The model's states {[spec.name for spec in inputs[1:]]} do not have the shapes and dtypes of its outputs "
            f"{[spec.name for spec in outputs[1:]]}, expected the same in the same order; export it again."
        )


__all__ = [
    "EngineError",
    "Runner",
    "RunnerClass",
    "TensorSpec",
    "check_states",
    "load_engine",
]
