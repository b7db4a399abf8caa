"""Heads: from the last integers of a network to scores.

A bundle may name its head; without a name it is the softmax. To add one, write it here and list it in `HEADS`. The
bundles that use it require a new schema: earlier versions of edge_res ignore the field.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_res.engines import TensorSpec

DEFAULT_HEAD = "softmax"


class Head(Protocol):
    """Turns the integers of one decision into scores."""

    def __call__(self, logits: NDArray[Any], spec: TensorSpec, /) -> NDArray[np.float32]:
        """Float32 scores `(labels,)`, each from 0 to 1, of 8-bit integers `(labels,)` as `spec` describes them."""
        ...


def softmax(logits: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Scores that sum to 1.

    Exponentials are looked up and summed one after the other in double precision: vectorised ones differ between CPUs
    in the last bit, and a score must not. For a few dozen labels this is faster, too.

    >>> spec = TensorSpec("logits", (1, 3), np.dtype(np.int8), scale=0.5, zero_point=0)
    >>> print(softmax(np.array([0, 8, 2], np.int8), spec).round(3))
    [0.017 0.936 0.047]
    """
    integers = logits.tolist()
    highest = max(integers)
    table = _exponentials(spec.scale)
    values = [table[highest - integer] for integer in integers]
    total = sum(values)
    return np.array([value / total for value in values], np.float32)


@lru_cache
def _exponentials(scale: float) -> list[float]:
    """exp(-scale * k) for k from 0 to 255."""
    return [math.exp(-scale * k) for k in range(256)]


HEADS: dict[str, Head] = {DEFAULT_HEAD: softmax}
