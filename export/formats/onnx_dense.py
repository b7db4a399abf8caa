"""Dense nodes of an ONNX file: Gemm and MatMul."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.errors import ExportError
from edge_res.export.formats.onnx_nodes import Node, attributes_of, title_of
from edge_res.export.int8.graph import Float32, Int8, Tensor


def dense_weight(node: Node, source: Tensor, weight: NDArray[Any], scale: Float32, axis: int) -> tuple[Int8, Float32]:
    """A matrix over all columns, bins and channels as the weights of a convolution whose kernel is the whole image.

    `weight` holds the file's integers less their zero point, with one scale in all or one per slice of `axis`.
    """
    attributes = attributes_of(node)
    if attributes.get("transA") or attributes.get("alpha", 1.0) != 1 or attributes.get("beta", 1.0) != 1:
        raise ExportError(f"{title_of(node)} transposes or scales its input, expected a plain product.")
    outputs = 0 if attributes.get("transB") else 1  # the axis of the weights
    if outputs == 1:
        weight = weight.T
    time, bins, channels = source.shape
    if weight.ndim != 2 or weight.shape[1] != time * bins * channels or np.abs(weight).max() > 127:
        raise ExportError(
            f"{title_of(node)} has weights {weight.shape} for {source.shape} (time, bins, channels), expected one "
            "8-bit symmetric weight per value."
        )
    if scale.size > 1 and (axis != outputs or scale.size != len(weight)):
        raise ExportError(
            f"{title_of(node)} has one scale per input (axis {axis} of its weights), expected one per output (axis "
            f"{outputs})."
        )
    scale = np.broadcast_to(scale, len(weight)).copy()
    layout = weight.reshape(-1, channels, time, bins).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(layout, np.int8), scale
