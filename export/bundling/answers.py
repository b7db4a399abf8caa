"""The logits of networks in float and in int8, and how far apart they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edge_res.engines import TensorSpec, load_engine
from edge_res.errors import ExportError
from edge_res.export.bundling.parity import WRITERS
from edge_res.export.formats.onnx_nodes import load_onnx
from edge_res.export.int8.graph import Graph
from edge_res.flow import Frames
from edge_res.model.quantization import decode, encode
from edge_res.model.quantization import quantize as quantize_frames

# Before a bundle is written these must give the same integers; the first gives the golden logits.
PARITY_ENGINES = ("litert", "onnxruntime")
# ResNets of 8 to 110 layers reach 3: scales around sums are moved, and each operation may round one step further.
_STEPS_APART = 16


def is_quantized(network: bytes) -> bool:
    """Whether an ONNX file is in QuantizeLinear / DequantizeLinear form already."""
    return any(node.op_type == "QuantizeLinear" for node in load_onnx(network).graph.node)


def float_logits(network: bytes, frames: Frames) -> NDArray[np.float32]:
    """The logits `(n, labels)` that an ONNX file with float inputs gives for windows `(n, frames, bins, channels)`.

    Raises `ExportError` if ONNX Runtime cannot run the file.
    """
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # a QDQ file's fused kernels may saturate
    options.log_severity_level = 4  # what it would log about a bad file is in the exception, too
    try:
        session = onnxruntime.InferenceSession(network, options, ["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # its exceptions have no other common base
        reason = " ".join(str(error).split()).rstrip(".")
        raise ExportError(f"ONNX Runtime cannot run the network: {reason}.") from None
    name = session.get_inputs()[0].name
    images = frames.transpose(0, 3, 1, 2)
    logits = [session.run(None, {name: np.ascontiguousarray(image[None])})[0].reshape(-1) for image in images]
    return np.stack(logits)


def int8_logits(window: Graph, frames: Frames) -> NDArray[np.float32]:
    """The logits of the quantized network for windows `(n, frames, bins, channels)`, in real units."""
    runner = load_engine(PARITY_ENGINES[0])(WRITERS["tflite"](window), 1)
    integers = encode(quantized(frames, window), runner.inputs[0])
    logits = decode(np.stack([runner.run(one[None])[0][0].copy() for one in integers]), runner.outputs[0])
    real: NDArray[np.float32] = (logits.astype(np.float32) - window.output.zero_point) * np.float32(window.output.scale)
    return real


def quantized(frames: Frames, graph: Graph) -> NDArray[np.int8]:
    """Frames as the int8 values that the network takes."""
    tensor = graph.input
    spec = TensorSpec(tensor.name, (1, *tensor.shape), np.dtype(np.int8), tensor.scale, tensor.zero_point)
    integers = np.empty(frames.shape, np.int8)
    quantize_frames(frames, spec, integers)
    return integers


def agreement(given: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, Any]:
    """How alike the logits `(n, labels)` of two networks are: the share of equal labels, the largest difference."""
    return {
        "windows": len(given),
        "same_label": float((given.argmax(1) == found.argmax(1)).mean()),
        "largest_difference": float(np.abs(given - found).max()),
        "largest_logit": float(np.abs(given).max()),
    }


def check_as_given(given: NDArray[np.float32], found: NDArray[np.float32], scale: float) -> None:
    """Refuse a file quantized elsewhere if some logit is more than `_STEPS_APART` steps of `scale` from ours."""
    apart = np.abs(given - found)
    window, label = np.unravel_index(apart.argmax(), apart.shape)
    steps = apart[window, label] / scale
    if steps > _STEPS_APART:
        raise ExportError(
            f"Logit {label} of calibration window {window} is {given[window, label]:.3g} in ONNX Runtime but "
            f"{found[window, label]:.3g} as the file was read here, {steps:.0f} steps of the output's scale apart, "
            f"at most {_STEPS_APART} expected; nothing was written: export the float network instead, and report this."
        )
