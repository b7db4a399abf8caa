"""ONNX files and nodes: load, refuse what has no form here, read attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from edge_res.errors import ExportError

Node = Any  # onnx.NodeProto

_KINDS = {"Constant", "QuantizeLinear", "DequantizeLinear", "Identity", "Dropout"}  # besides what computes
_KINDS |= {"Conv", "Relu", "Add", "Slice", "Flatten", "Reshape", "Squeeze"}
_MEAN = "write the mean as a depthwise Conv with constant weights"
_CLASSIFIER = "write the classifier as a 1×1 Conv before the flattening"
_RECURRENT = "recurrent networks have no form here, replace it by convolutions"
_WAY_OUT = {
    "GlobalAveragePool": _MEAN,
    "AveragePool": _MEAN,
    "ReduceMean": _MEAN,
    "Gemm": _CLASSIFIER,
    "MatMul": _CLASSIFIER,
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
    "BatchNormalization": "fold it into the Conv before it",
    "Softmax": "end the network at the logits",
}


def load_onnx(model: bytes) -> Any:
    """An ONNX file as `onnx.ModelProto`, checked; an `ExportError` where it is none."""
    try:
        proto = onnx.load_from_string(model)
        onnx.checker.check_model(proto)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ExportError(f"This is not a valid ONNX file: {' '.join(str(error).split())}") from None
    return proto


def check_kinds(nodes: Iterable[Node]) -> None:
    """Refuse operations that have no form in `graph.py`: the first of them, or the first that has a way out."""
    unknown = [node for node in nodes if node.op_type not in _KINDS]
    if unknown:
        node = next((node for node in unknown if node.op_type in _WAY_OUT), unknown[0])
        known = "what can be is Conv, depthwise Conv, Relu, Add, Slice along time, and Flatten at the end"
        raise ExportError(f"{title_of(node)} cannot be exported: {_WAY_OUT.get(node.op_type, known)}.")


def pads_of(node: Node, attributes: dict[str, Any]) -> tuple[int, int, int, int]:
    """(time before, bins before, time after, bins after)."""
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ExportError(
            f"{title_of(node)} pads itself ({attributes['auto_pad'].decode()}): write the padding as numbers."
        )
    before_time, before, after_time, after = attributes.get("pads", [0, 0, 0, 0])
    return before_time, before, after_time, after


def attributes_of(node: Node) -> dict[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def name_of(node: Node) -> str:
    return str(node.name or node.output[0])


def title_of(node: Node) -> str:
    return f"The {node.op_type} {name_of(node)!r}"
