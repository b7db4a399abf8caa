"""Microseconds a hop, stage by stage, and as a whole: `python tests/benchmarks/stages.py [BUNDLE]`.

Stages and whole are measured in turn on the same blocks, so that a noisy machine disturbs both alike; medians are
printed. `rest` is what the whole takes beyond front-end and engine: ring, quantization, softmax, decide, glue.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.choices import MODES
from edge_res.decide import Decide
from edge_res.engines import Runner, TensorSpec, load_engine
from edge_res.flow import Block, Scores
from edge_res.loop import Stream
from edge_res.model.bundle import Bundle, read_bundle
from edge_res.model.ensemble import Chain
from edge_res.model.models import load_model
from edge_res.signal.frontend import FrontEnd
from edge_res.signal.ring import Ring

HOPS = 3000
WARM_UP = 200


class Synthetic:
    """A source in name only: the blocks are made here."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self.name = "synthetic"
        self.unit = ""
        self.rate_hz = rate_hz
        self.channels = channels

    def __enter__(self) -> Synthetic:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __iter__(self) -> Any:
        return iter(())


class Timed:
    """A runner that keeps the time of its last run."""

    def __init__(self, runner: Runner) -> None:
        self.engine = runner.engine
        self.inputs: tuple[TensorSpec, ...] = runner.inputs
        self.outputs: tuple[TensorSpec, ...] = runner.outputs
        self.spent_ns = 0
        self._runner = runner

    def run(self, *inputs: NDArray[Any]) -> Sequence[NDArray[Any]]:
        started = perf_counter_ns()
        outputs = self._runner.run(*inputs)
        self.spent_ns = perf_counter_ns() - started
        return outputs

    def advance(self, frames: NDArray[Any]) -> NDArray[Any]:
        started = perf_counter_ns()
        logits = self._runner.advance(frames)
        self.spent_ns = perf_counter_ns() - started
        return logits

    def fork(self) -> Runner:
        return self._runner.fork()


def measure(bundle: Bundle, engine: str, mode: str) -> dict[str, float]:
    """Median microseconds a hop of each stage and of the whole."""
    manifest = bundle.manifest
    params = manifest.front_end
    rng = np.random.default_rng(0)
    n = manifest.hop * params.hop_length
    blocks = (0.1 * rng.standard_normal((64, n, params.channels))).astype(np.float32)

    model = load_model(bundle, load_engine(engine), mode)
    model.runner = runner = Timed(model.runner)
    ring = Ring(8 * n, params.channels, n)
    front_end = FrontEnd(params, manifest.hop)
    decider = Decide(manifest.decide, manifest.labels, manifest.delay_s, "")
    # Blocks that end where a frame ends, so that each brings a whole hop.
    assert not list(front_end.push(np.zeros((params.win_length - params.hop_length, params.channels), np.float32)))

    whole_ring = Ring(8 * n, params.channels, n)
    source = Synthetic(params.sample_rate_hz, params.channels)
    stream = Stream(source, [Chain(manifest, load_model(bundle, load_engine(engine), mode))], manifest.decide)
    for _ in stream.push(Block("", 0, np.zeros((params.win_length - params.hop_length, params.channels), np.float32))):
        pass

    spent: dict[str, list[int]] = {name: [] for name in ("ring", "front-end", "engine", "decide", "whole", "rest")}
    for hop in range(HOPS + WARM_UP):
        samples = blocks[hop % len(blocks)]
        t0 = perf_counter_ns()
        ring.write(samples)
        view = ring.view(n)
        t1 = perf_counter_ns()
        (frames,) = front_end.push(view)
        t2 = perf_counter_ns()
        ring.advance(n)
        values = model.push(frames)
        t3 = perf_counter_ns()
        if values is not None:
            decider.push(Scores(hop * 0.08, values))
        t4 = perf_counter_ns()
        whole_ring.write(samples)
        for scores in stream.push(Block("", hop * n, whole_ring.view(n))):
            stream.decide(scores)
        whole_ring.advance(n)
        t5 = perf_counter_ns()
        if hop >= WARM_UP:
            times = (t1 - t0, t2 - t1, runner.spent_ns, t4 - t3, t5 - t4, t5 - t4 - (t2 - t1) - runner.spent_ns)
            for name, value in zip(spent, times, strict=True):
                spent[name].append(value)
    return {name: median(values) / 1000 for name, values in spent.items()}


def main() -> None:
    bundle = read_bundle(sys.argv[1] if len(sys.argv) > 1 else "default")
    print(f"{bundle.manifest.name}: µs a hop of {bundle.manifest.hop} frames, one thread, {HOPS} hops")
    for engine in ("litert", "onnxruntime"):
        for mode in MODES:
            times = measure(bundle, engine, mode)
            print(f"  {engine:12} {mode:7}", "  ".join(f"{name} {value:.0f}" for name, value in times.items()))


if __name__ == "__main__":
    main()
