"""The time that a model takes per hop on this machine; `listen` adds the front-end and the decision."""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns

import numpy as np

from edge_res.engines import load_engine
from edge_res.model.bundle import Bundle
from edge_res.model.models import load_model

_WARM_UP = 100
_HOPS = 1000


def microseconds_a_hop(bundle: Bundle, engine: str = "litert") -> float:
    """Median µs from the frames of a hop to its scores, on one thread, in the mode that `listen` uses."""
    manifest = bundle.manifest
    params = manifest.front_end
    model = load_model(bundle, load_engine(engine))
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((manifest.hop, params.bins, params.channels)).astype(np.float32)
    times = []
    for i in range(_WARM_UP + _HOPS):
        started = perf_counter_ns()
        model.push(frames)
        if i >= _WARM_UP:
            times.append(perf_counter_ns() - started)
    return round(median(times) / 1000, 1)
