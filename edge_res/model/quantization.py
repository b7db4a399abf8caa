"""Quantization: floats to int8 and back, the one place where it is done."""

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
    """`rint(frames / scale) + zero point`, clipped to the range of `out`'s dtype, the one quantization there is."""
    lowest, highest = _LIMITS[spec.dtype]
    scaled = frames * np.float32(1 / spec.scale)
    np.rint(scaled, out=scaled)
    scaled += spec.zero_point
    np.minimum(scaled, highest, out=scaled)
    np.maximum(scaled, lowest, out=scaled)
    out[...] = scaled


def encode(integers: NDArray[np.int8], spec: TensorSpec) -> NDArray[Any]:
    """Int8 values as a model takes them: uint8 models take the same integers plus 128, which flips the highest bit."""
    return integers.view(np.uint8) ^ 0x80 if spec.dtype == np.uint8 else integers


def decode(integers: NDArray[Any], spec: TensorSpec) -> NDArray[np.int8]:
    """What a model gives as int8 values: the other way round."""
    return (integers ^ 0x80).view(np.int8) if spec.dtype == np.uint8 else integers
