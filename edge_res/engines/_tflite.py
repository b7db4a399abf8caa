"""What LiteRT and tflite-runtime share: the same `Interpreter`, from two packages."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_res.engines import TensorSpec, check_states
from edge_res.errors import ModelError

_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TFLite file


class Interpreter(Protocol):
    """The part of the packages' `Interpreter` that is used here."""

    def allocate_tensors(self) -> None: ...
    def get_input_details(self) -> list[dict[str, Any]]: ...
    def get_output_details(self) -> list[dict[str, Any]]: ...
    def set_tensor(self, tensor_index: int, value: NDArray[Any]) -> None: ...
    def get_tensor(self, tensor_index: int) -> NDArray[Any]: ...
    def invoke(self) -> None: ...


class InterpreterClass(Protocol):
    def __call__(self, *, model_content: bytes, num_threads: int) -> Interpreter: ...


class TfliteRunner:
    """A model in an interpreter; each run returns new arrays."""

    suffix = "tflite"

    def __init__(self, engine: str, interpreter: InterpreterClass, model: bytes, threads: int) -> None:
        self._made_of = engine, interpreter, model, threads
        if model[4:8] != _IDENTIFIER:
            raise ModelError(f"The model is not a TFLite file: it starts with {model[:8]!r}; export it again.")
        try:
            with quiet_info():
                self._interpreter = interpreter(model_content=model, num_threads=threads)
                self._interpreter.allocate_tensors()
            self.engine = f"{engine} ({_kernels(self._interpreter)})"
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            self.inputs = tuple(_spec(details) for details in inputs)
            self.outputs = tuple(_spec(details) for details in outputs)
            self._inputs = [int(details["index"]) for details in inputs]
            self._outputs = [int(details["index"]) for details in outputs]
            check_states(self.inputs, self.outputs)
            self._states: Sequence[NDArray[Any]] = [np.zeros(spec.shape, spec.dtype) for spec in self.inputs[1:]]
            # Some faults only appear in a run.
            self.run(np.zeros(self.inputs[0].shape, self.inputs[0].dtype), *self._states)
        except ModelError:
            raise
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise ModelError(f"{engine} cannot load the model: {reason}; export it again.") from None

    def fork(self) -> TfliteRunner:
        # A step model may keep its states inside the interpreter, so another stream needs another interpreter.
        return TfliteRunner(*self._made_of)

    def work(self) -> tuple[int, int]:
        """The number of operators in a run, and the bytes that they read and write, including weights."""
        interpreter: Any = self._interpreter
        sizes = {
            details["index"]: int(np.prod(details["shape"])) * np.dtype(details["dtype"]).itemsize
            for details in interpreter.get_tensor_details()
            if details["dtype"] is not object  # a handle to a state, not data
        }
        ops = [op for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"]  # which stands for others
        return len(ops), sum(sizes.get(index, 0) for op in ops for index in (*op["inputs"], *op["outputs"]))

    def run(self, *inputs: NDArray[Any]) -> Sequence[NDArray[Any]]:
        # Copies instead of views of the tensors: views are slower, and invoke() raises while one is held.
        interpreter = self._interpreter
        for index, value in zip(self._inputs, inputs, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self._outputs]

    def advance(self, frames: NDArray[Any]) -> NDArray[Any]:
        logits, *self._states = self.run(frames, *self._states)
        return logits


def _kernels(interpreter: Any) -> str:
    """Which kernels run. Only XNNPACK gives the integers of ONNX Runtime; the built-in ones differ by a few."""
    details: list[dict[str, Any]] = getattr(interpreter, "_get_ops_details", list)()
    return "XNNPACK" if any(op["op_name"] == "DELEGATE" for op in details) else "built-in kernels"


def _spec(details: dict[str, Any]) -> TensorSpec:
    parameters = details["quantization_parameters"]
    name, dtype = str(details["name"]), np.dtype(details["dtype"])
    if dtype not in (np.int8, np.uint8) or len(parameters["scales"]) != 1:
        raise ModelError(
            f"The model's {name} is {dtype} with {len(parameters['scales'])} scales, expected 8-bit integers "
            "with one scale; export it again."
        )
    shape = tuple(int(size) for size in details["shape"])
    return TensorSpec(name, shape, dtype, float(parameters["scales"][0]), int(parameters["zero_points"][0]))


@contextlib.contextmanager
def quiet_info() -> Iterator[None]:
    """Drop the INFO lines that C++ code writes to file descriptor 2; everything else is written afterwards."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # closed, as in some daemons: nothing to silence
        yield
        return
    try:
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                caught.seek(0)
                for line in caught:
                    if not line.startswith(b"INFO:"):
                        os.write(2, line)
    finally:
        os.close(kept)
