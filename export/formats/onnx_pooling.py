"""Pooling nodes of an ONNX file."""

from __future__ import annotations

import numpy as np

from edge_res.errors import ExportError
from edge_res.export.formats.onnx_nodes import Node, attributes_of, name_of, pads_of, title_of
from edge_res.export.int8.graph import DepthwiseConv, Tensor

Pair = tuple[int, int]


def mean_of(node: Node, source: Tensor) -> DepthwiseConv:
    """A mean as a depthwise convolution (docs/explanation/steps.md says why)."""
    kernel, stride = source.shape[:2], (1, 1)
    if node.op_type == "AveragePool":
        kernel, stride, time_padding, padding = pooling_of(node)
        if any((*time_padding, *padding)):
            raise ExportError(
                f"{title_of(node)} is padded; remove the padding, since means at the edges would be of fewer values."
            )
    weight = np.ones((*kernel, source.shape[2]), np.int8)
    scale = np.full(source.shape[2], 1 / (kernel[0] * kernel[1]), np.float32)
    bias = np.zeros(source.shape[2], np.int32)
    return DepthwiseConv(name_of(node), source, source, weight, scale, bias, stride)


def pooling_of(node: Node) -> tuple[Pair, Pair, Pair, Pair]:
    """Kernel, stride, padding along time, padding along frequency."""
    attributes = attributes_of(node)
    time_before, before, time_after, after = pads_of(node, attributes)
    if attributes.get("ceil_mode") or set(attributes.get("dilations", [1])) != {1}:
        raise ExportError(f"{title_of(node)} rounds its size up or is dilated, expected neither.")
    time, bins = attributes["kernel_shape"]
    time_stride, stride = attributes.get("strides", [1, 1])
    return (time, bins), (time_stride, stride), (time_before, time_after), (before, after)
