"""ONNX files and nodes: load, refuse unsupported operations, read attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edge_res.errors import ExportError

Node = Any  # onnx.NodeProto

_KINDS = {
    "Constant",
    "QuantizeLinear",
    "DequantizeLinear",
    "Identity",
    "Dropout",
}  # these compute nothing by themselves
_KINDS |= {"Conv", "Relu", "Add", "Slice", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool"}
_KINDS |= {"Gemm", "MatMul", "Flatten", "Reshape", "Squeeze"}
_RECURRENT = "recurrent networks are not supported, replace it with convolutions"
_FIXES = {
    "ReduceMean": "quantizers leave it in float, use a GlobalAveragePool instead",
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
    "BatchNormalization": "fold it into the Conv before it",
    "Softmax": "end the network at the logits",
}


def load_onnx(model: bytes) -> Any:
    """An ONNX file as `onnx.ModelProto`, checked; raises `ExportError` if it is not valid."""
    try:
        proto = onnx.load_from_string(model)
        onnx.checker.check_model(proto)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ExportError(f"This is not a valid ONNX file: {' '.join(str(error).split()).rstrip('.')}.") from None
    return proto


def check_kinds(nodes: Iterable[Node]) -> None:
    """Refuse operations that `int8/ops.py` does not have; the error names the first, or the first with a known fix."""
    unknown = [node for node in nodes if node.op_type not in _KINDS]
    if unknown:
        node = next((node for node in unknown if node.op_type in _FIXES), unknown[0])
        known = "docs/reference/onnx.md lists the operations that can be"
        raise ExportError(f"{title_of(node)} cannot be exported: {_FIXES.get(node.op_type, known)}.")


def pads_of(node: Node, attributes: dict[str, Any]) -> tuple[int, int, int, int]:
    """(time before, bins before, time after, bins after)."""
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ExportError(
            f"{title_of(node)} has auto_pad {attributes['auto_pad'].decode()}; give the padding as numbers."
        )
    before_time, before, after_time, after = attributes.get("pads", [0, 0, 0, 0])
    return before_time, before, after_time, after


def attributes_of(node: Node) -> dict[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def name_of(node: Node) -> str:
    return str(node.name or node.output[0])


def title_of(node: Node) -> str:
    return f"The {node.op_type} {name_of(node)!r}"


def convert_constant(
    node: Node, values: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.float32] | None, int]:
    """The integers that a QuantizeLinear makes of a float constant, or those of a DequantizeLinear less its zero point.

    The latter come with their scales, one in all or one per slice of the axis, which is the last value returned: 0 in a
    convolution, either one in a matrix.
    """
    scale, zero = np.atleast_1d(scale).astype(np.float32), np.atleast_1d(zero)
    axis = int(attributes_of(node).get("axis", 1)) % max(values.ndim, 1)
    if scale.size > 1 and axis != 0 and values.ndim != 2:
        raise ExportError(
            f"{title_of(node)} has one scale per slice of axis {axis}, expected one per output channel (axis 0)."
        )
    along = tuple(-1 if scale.size > 1 and i == axis else 1 for i in range(values.ndim))
    if node.op_type == "DequantizeLinear":
        return values.astype(np.int64) - zero.reshape(along if zero.size > 1 else ()), scale, axis
    limits = np.iinfo(zero.dtype)
    integers = np.rint(values / scale.reshape(along)) + zero.reshape(along if zero.size > 1 else ())
    return np.clip(integers, limits.min, limits.max).astype(zero.dtype), None, axis
