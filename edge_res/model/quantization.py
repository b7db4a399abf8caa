"""Quantization of frames, and the two ways of writing the same 8-bit integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.engines import TensorSpec
from edge_res.flow import Frames

_LIMITS = {
    np.dtype(kind): (np.float32(np.iinfo(kind).min), np.float32(np.iinfo(kind).max)) for kind in (np.int8, np.uint8)
}


def quantize(frames: Frames, spec: TensorSpec, out: NDArray[Any]) -> None:
    """Write `rint(frames / scale) + zero point`, clipped to the range of the dtype, to `out`, of the frames' shape.

    The only place that quantizes, so that training and listening cannot disagree.

    >>> spec = TensorSpec("frames", (3,), np.dtype(np.int8), scale=0.5, zero_point=-3)
    >>> out = np.zeros(3, np.int8)
    >>> quantize(np.array([0, 1.25, 1000], np.float32), spec, out)
    >>> out.tolist()
    [-3, -1, 127]
    """
    lowest, highest = _LIMITS[spec.dtype]
    scaled = frames * np.float32(1 / spec.scale)
    np.rint(scaled, out=scaled)
    scaled += spec.zero_point
    np.minimum(scaled, highest, out=scaled)
    np.maximum(scaled, lowest, out=scaled)
    out[...] = scaled


def encode(integers: NDArray[np.int8], spec: TensorSpec) -> NDArray[Any]:
    """Int8 values as a model expects them: a uint8 model expects them plus 128, which flips the highest bit."""
    return integers.view(np.uint8) ^ 0x80 if spec.dtype == np.uint8 else integers


def decode(integers: NDArray[Any], spec: TensorSpec) -> NDArray[np.int8]:
    """The int8 values of what a model returns; the inverse of `encode`."""
    return (integers ^ 0x80).view(np.int8) if spec.dtype == np.uint8 else integers
