"""Float ONNX to a quantized graph, with ONNX Runtime's static quantization.

Per-channel symmetric int8 weights and per-tensor asymmetric 8-bit activations, with ranges from calibration windows.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge_res.errors import ExportError
from edge_res.export.formats.onnx_nodes import check_kinds, load_onnx, title_of
from edge_res.export.formats.onnx_reader import read_qdq
from edge_res.export.int8.fold import fold_mean
from edge_res.export.int8.graph import Graph

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


def quantize(float_onnx: bytes, calibration: NDArray[np.float32], method: str = "minmax") -> Graph:
    """Quantize a float ONNX file: input `(1, channels, frames, bins)`, output `(1, labels)`.

    `calibration` holds a few hundred float32 windows `(n, frames, bins, channels)` from the training data;
    `method` is `minmax`, `percentile` or `entropy`. Raises `ExportError`, which names what cannot be exported and why.
    """
    return fold_mean(read_qdq(quantize_onnx(float_onnx, calibration, method)))


def quantize_onnx(float_onnx: bytes, calibration: NDArray[np.float32], method: str = "minmax") -> bytes:
    """The QDQ ONNX file that `quantize` reads; batch normalisation and constants are folded."""
    return _quantize_static(float_onnx, calibration, method, QuantType.QUInt8, {"ActivationSymmetric": False})


def symmetric(float_onnx: bytes, calibration: NDArray[np.float32], method: str = "minmax") -> bytes:
    """A QDQ ONNX file by TensorRT's rules, float in and out; see `check_tensorrt`. Never run on TensorRT so far."""
    rules = {"ActivationSymmetric": True, "QuantizeBias": False, "QDQKeepRemovableActivations": True}
    model = _quantize_static(float_onnx, calibration, method, QuantType.QInt8, rules)
    check_tensorrt(model)
    return model


def check_tensorrt(model: bytes) -> None:
    """Raise `ExportError` if a QDQ file breaks TensorRT's rules for explicit quantization.

    NVIDIA TensorRT Developer Guide, "Explicit Quantization": int8 only, all zero points 0, activations with one scale,
    a convolution's weights with one scale per output channel, biases in float.
    """
    proto = load_onnx(model)
    constants = {array.name: onnx.numpy_helper.to_array(array) for array in proto.graph.initializer}
    weights = {node.input[1] for node in proto.graph.node if node.op_type == "Conv"}
    for node in proto.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = (constants[name] for name in node.input[1:3])
            if zero.dtype != np.int8 or zero.any():
                raise ExportError(
                    f"{title_of(node)} has {zero.dtype} zero points {np.unique(zero)}, TensorRT takes only int8 and 0."
                )
            if node.output[0] in weights and scale.ndim != 1:
                raise ExportError(f"{title_of(node)} has one scale for all weights, expected one per output channel.")
            if node.output[0] not in weights and node.input[0] not in constants and scale.size != 1:
                raise ExportError(f"{title_of(node)} has {scale.size} scales for an activation, TensorRT takes one.")


def _quantize_static(
    float_onnx: bytes, calibration: NDArray[np.float32], method: str, activations: QuantType, rules: dict[str, bool]
) -> bytes:
    if method not in METHODS:
        raise ExportError(f"There is no calibration method {method!r}; choose from {', '.join(METHODS)}.")
    model = load_onnx(float_onnx)
    source, shape = _input(model)
    if calibration.ndim != 4 or not len(calibration) or (calibration.shape[3], *calibration.shape[1:3]) != shape:
        raise ExportError(
            f"The calibration windows have the shape {calibration.shape}, expected (n, frames, bins, channels) for the "
            f"network's (channels, frames, bins) {shape}."
        )
    with tempfile.TemporaryDirectory() as folder:
        given, prepared, quantized = (Path(folder, f"{name}.onnx") for name in ("given", "prepared", "quantized"))
        given.write_bytes(float_onnx)
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        check_kinds(onnx.load(prepared).graph.node)
        quantize_static(
            prepared,
            quantized,
            _Windows(source, calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=activations,
            weight_type=QuantType.QInt8,
            calibrate_method=METHODS[method],
            extra_options={**rules, "WeightSymmetric": True, "ForceQuantizeNoInputCheck": True},
        )
        return quantized.read_bytes()


class _Windows(CalibrationDataReader):  # type: ignore[misc]
    """Feeds one window at a time, as the network takes it."""

    def __init__(self, name: str, windows: NDArray[np.float32]) -> None:
        self._feeds = ({name: np.ascontiguousarray(window.transpose(2, 0, 1)[None], np.float32)} for window in windows)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)


def _input(model: Any) -> tuple[str, tuple[int, ...]]:
    """Name and (channels, frames, bins) of the network's only input."""
    constants = {array.name for array in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise ExportError(f"The network has {len(inputs)} inputs, expected one.")
    return inputs[0].name, tuple(dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim)[1:]
