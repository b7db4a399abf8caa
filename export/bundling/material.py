"""What a bundle is made of: `trained.py` takes it from a training run, `foreign.py` from an ONNX file.

PyTorch is needed only for a training run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.export.bundling.word_stream import WordStream
from edge_res.export.int8.graph import Graph
from edge_res.flow import Frames
from edge_res.model.bundle import DecideParams
from edge_res.signal.frontend import FrontEndParams


@dataclass(frozen=True)
class Validation:
    """Windows `(n, frames, bins, channels)`, the indices of their labels, and their names."""

    frames: Frames
    targets: NDArray[np.int64]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """A network as ONNX, float or QDQ, and all that is needed to quantize, check and describe it.

    `calibration` holds windows `(n, frames, bins, channels)`. `stream` holds the frames `(n, bins, channels)` of a long
    recording, on which modes and engines are compared. If its words are known, `word_stream` is the same recording, and
    thresholds and delay are tuned on it; otherwise they are `decide` and `delay_s`. `tune` improves the quantized
    network if int8 costs more than `allowed_loss` of the accuracy on `validation`.
    """

    network: bytes
    labels: tuple[str, ...]
    background: tuple[str, ...]
    front_end: FrontEndParams
    hop: int
    calibration: Frames
    stream: Frames
    decide: DecideParams
    delay_s: float = 0.0
    word_stream: WordStream | None = None
    validation: Validation | None = None
    tune: Callable[[Graph], Graph] | None = None
    allowed_loss: float = 0.003
    training: Mapping[str, Any] = field(default_factory=dict)
