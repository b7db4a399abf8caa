"""ONNX Runtime on the CPU.

ONNX cannot store scales for the inputs and outputs of a graph, so the metadata `edge_res.tensors` holds them as JSON:
`{"frames": {"scale": 0.05, "zero_point": 128}, "logits": {...}}`.
"""

from __future__ import annotations

import copy
import json
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.engines import TensorSpec, check_states
from edge_res.errors import EngineError, ModelError

try:
    import onnxruntime as ort
except ImportError as error:
    raise EngineError(
        f"The engine onnxruntime requires the package onnxruntime, which cannot be imported ({error}); install it with "
        "`pip install onnxruntime`."
    ) from error

METADATA_KEY = "edge_res.tensors"

_DTYPES = {"tensor(uint8)": np.dtype(np.uint8), "tensor(int8)": np.dtype(np.int8)}
_ERROR = 3  # ONNX Runtime's severities: verbose 0, info 1, warning 2, error 3, fatal 4
_FATAL = 4

ort.set_default_logger_severity(_ERROR)  # else it warns at each start that a Pi has no GPU


class OnnxRuntimeRunner:
    """A model in ONNX Runtime; each run returns new arrays."""

    suffix = "onnx"

    def __init__(self, model: bytes, threads: int) -> None:
        self.engine = f"ONNX Runtime {ort.__version__}"
        try:
            self._session = _session(model, _options(threads))
            quantization = _read_metadata(self._session.get_modelmeta().custom_metadata_map)
            self.inputs = tuple(_spec(value, quantization) for value in self._session.get_inputs())
            self.outputs = tuple(_spec(value, quantization) for value in self._session.get_outputs())
            self._input_names = [spec.name for spec in self.inputs]
            self._output_names = [spec.name for spec in self.outputs]
            check_states(self.inputs, self.outputs)
            # Some faults only appear in a run.
            self.run(*(np.zeros(spec.shape, spec.dtype) for spec in self.inputs))
            self._bind()
        except ModelError:
            raise
        except Exception as error:  # its exceptions have no other common base
            reason = " ".join(str(error).split()).rstrip(".")
            raise ModelError(f"ONNX Runtime cannot load the model: {reason}; export it again.") from None

    def run(self, *inputs: NDArray[Any]) -> Sequence[NDArray[Any]]:
        # IO binding would gain nothing here: the cost is in fetching many states, which `advance` avoids.
        outputs: list[NDArray[Any]] = self._session.run(
            self._output_names, dict(zip(self._input_names, inputs, strict=True))
        )
        return outputs

    def advance(self, frames: NDArray[Any]) -> NDArray[Any]:
        np.copyto(self._frames, frames)
        self._session.run_with_iobinding(self._bindings[0])
        self._bindings.reverse()
        return self._logits

    def fork(self) -> OnnxRuntimeRunner:
        other = copy.copy(self)
        other._bind()
        return other

    def _bind(self) -> None:
        """Make two bindings to arrays that live as long as the runner: one reads the states that the other writes."""
        self._frames, self._logits = _zeros(self.inputs[0]), _zeros(self.outputs[0])
        self._ping, self._pong = ([_zeros(spec) for spec in self.inputs[1:]] for _ in range(2))
        self._bindings = []
        for before, after in ((self._ping, self._pong), (self._pong, self._ping)):
            binding = self._session.io_binding()
            for spec, array in zip(self.inputs, (self._frames, *before), strict=True):
                binding.bind_ortvalue_input(spec.name, ort.OrtValue.ortvalue_from_numpy(array))
            for spec, array in zip(self.outputs, (self._logits, *after), strict=True):
                binding.bind_ortvalue_output(spec.name, ort.OrtValue.ortvalue_from_numpy(array))
            self._bindings.append(binding)


def providers() -> list[str]:
    """The execution providers of this build of ONNX Runtime, in its own order."""
    return list(ort.get_available_providers())


def op_times(model: bytes, threads: int, runs: int) -> dict[str, float]:
    """Mean microseconds per run of each kind of operator, on zeros, by ONNX Runtime's profiler.

    The profiler slows down what it measures: the sum is more than a run takes without it.
    """
    options = _options(threads)
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/edgeres"
        session = _session(model, options)
        quantization = _read_metadata(session.get_modelmeta().custom_metadata_map)
        zeros = {value.name: _zeros(_spec(value, quantization)) for value in session.get_inputs()}
        for _ in range(2 * runs):  # the first half is the warm-up
            session.run(None, zeros)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    kernels = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    spent: dict[str, float] = {}
    for event in kernels[len(kernels) // 2 :]:
        name = event["args"]["op_name"]
        spent[name] = spent.get(name, 0.0) + event["dur"] / runs
    return {name: round(us, 3) for name, us in sorted(spent.items(), key=lambda item: -item[1])}


def _options(threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL  # what it would log about a bad file is also in the exception
    if _saturates(Path("/proc/cpuinfo")):
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _session(model: bytes, options: Any) -> Any:
    # The fallback would print and try the same again.
    return ort.InferenceSession(model, options, ["CPUExecutionProvider"], enable_fallback=0)


def _zeros(spec: TensorSpec) -> NDArray[Any]:
    return np.zeros(spec.shape, spec.dtype)


def _saturates(cpuinfo: Path) -> bool:
    """Whether this CPU's fast uint8 × int8 kernels overflow.

    On x86 without VNNI they add pairs of products in saturating 16 bits (PMADDUBSW). On a CPU with VNNI, the exact
    kernels would take twice as long, so they are requested only where they are needed.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        return "vnni" not in cpuinfo.read_text()
    except OSError:
        return True


def _read_metadata(metadata: dict[str, str]) -> dict[str, Any]:
    try:
        quantization = json.loads(metadata[METADATA_KEY])
    except (KeyError, ValueError):
        quantization = None
    if not isinstance(quantization, dict):
        raise ModelError(f"The ONNX model has no readable metadata {METADATA_KEY} with its scales; export it again.")
    return quantization


def _spec(value: Any, quantization: dict[str, Any]) -> TensorSpec:
    if value.type not in _DTYPES or not all(isinstance(size, int) for size in value.shape):
        raise ModelError(
            f"The model's {value.name} is a {value.type} of shape {value.shape}, expected 8-bit integers of "
            "a fixed shape; export it again."
        )
    try:
        found = quantization[value.name]
        scale, zero_point = float(found["scale"]), int(found["zero_point"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"The ONNX model's metadata has no scale for {value.name}; export it again.") from None
    return TensorSpec(value.name, tuple(value.shape), _DTYPES[value.type], scale, zero_point)
