"""Heads: from the network's last integers to scores."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.engines import TensorSpec


def softmax(logits: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Scores of 8-bit integer logits `(labels,)`: float32, of the same shape, summing to 1.

    Exponentials are looked up and summed one after the other in double precision: vectorised ones differ between CPUs
    in the last bit, and a score must not. For some tens of labels that is also the quicker way.
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
