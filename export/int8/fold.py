"""Folds the mean over time into the dense layer after it, as one convolution.

XNNPACK has no depthwise kernel of more than 25 taps: a mean over 27 columns takes two of the nine microseconds of a
step. As part of a convolution over all columns it takes almost no time and saves a rounding, but each weight of the
dense layer is then repeated for each column. A mean over 21 columns is just as fast unfolded (7.8 µs per step either
way).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_res.export.int8.graph import Conv, DepthwiseConv, Graph, Int32, Tensor

_TAPS = 25  # of XNNPACK's largest depthwise kernel
_GROWTH = 1.1  # of the parameters, at most, where folding saves no time


def fold_mean(graph: Graph) -> Graph:
    """The graph with the mean over time folded into its last convolution; a graph without such an end is unchanged.

    A mean that clips is not folded, nor is a fast one where the network would grow by more than a tenth.
    """
    if len(graph.ops) < 2:
        return graph
    *before, mean, dense = graph.ops
    if not isinstance(mean, DepthwiseConv) or not isinstance(dense, Conv) or not _is_mean_over_time(mean, dense):
        return graph
    scale = (dense.weight_scale * (mean.weight_scale[0] * mean.weight[0, 0, 0])).astype(np.float32)
    unit = mean.input.scale * scale.astype(np.float64)
    bias: Int32 = np.rint(dense.bias * (dense.input.scale * dense.weight_scale.astype(np.float64) / unit)).astype(
        np.int32
    )
    weight = np.repeat(dense.weight, mean.kernel[0], axis=1)
    folded = replace(dense, input=mean.input, weight=weight, weight_scale=scale, bias=bias)
    shorter = replace(graph, ops=(*before, folded))
    slow = mean.kernel[0] > _TAPS
    return shorter if slow or shorter.parameters <= _GROWTH * graph.parameters else graph


def _is_mean_over_time(mean: DepthwiseConv, dense: Conv) -> bool:
    """Whether an operation averages all columns, with equal weights, for another that reads nothing else."""
    weights, scales = mean.weight, mean.weight_scale
    return (
        dense.input == mean.output
        and dense.kernel == (1, 1)
        and mean.kernel == mean.input.shape[:2]
        and mean.kernel[1] == 1
        and not mean.bias.any()
        and weights[0, 0, 0] > 0
        and bool((weights == weights[0, 0, 0]).all() and (scales == scales[0]).all())
        and _never_clips(mean)
    )


def _never_clips(mean: DepthwiseConv) -> bool:
    """Whether a mean's clip has no effect: one that has may be the ReLU after it, which has to stay."""
    if mean.input.zero_point == -128:  # its input has passed a ReLU
        return True
    (low, high), (lowest, highest) = _limits(mean.output), _limits(mean.input)
    return low <= lowest and highest <= high


def _limits(tensor: Tensor) -> tuple[float, float]:
    """The smallest and the largest real value that a tensor can hold."""
    return (-128 - tensor.zero_point) * tensor.scale, (127 - tensor.zero_point) * tensor.scale
