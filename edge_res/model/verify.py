"""Whether a bundle computes here exactly what it computed where it was exported, in each engine and mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.choices import ENGINES
from edge_res.engines import Runner, load_engine
from edge_res.errors import EngineError, ModelError
from edge_res.model.bundle import Bundle, Manifest, read_golden
from edge_res.model.models import StepModel, WindowModel, load_runner
from edge_res.model.quantization import decode, encode

Logits = NDArray[np.int8]  # (hops, labels)


@dataclass(frozen=True)
class Check:
    """One comparison: `differing` of `values` logits differ, by at most `largest`.

    `against` says what the logits were compared with: the `golden` ones, the `window` model of the same engine, or that
    of the first engine. They must be equal if `exact`; only TFLite without XNNPACK may differ from other engines, since
    its kernels round differently.
    """

    engine: str
    mode: str
    against: str
    hops: int
    values: int
    differing: int
    largest: int
    exact: bool

    @property
    def passed(self) -> bool:
        return self.hops > 0 and not (self.exact and self.differing)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def verify(bundle: Bundle, stream: NDArray[np.int8], golden: Logits | None, engines: list[str]) -> Iterator[Check]:
    """Run a stream of int8 frames `(n, bins, channels)` through each engine and mode, and compare.

    Window models are compared with the golden logits, or, without any, with those of the first engine; step models
    are compared with the window model of the same engine.
    """
    manifest = bundle.manifest
    reference = "golden"
    for engine in engines:
        runner_class = load_engine(engine)
        runner = load_runner(bundle, runner_class, "window")
        window = window_logits(runner, manifest, stream)
        if golden is None:
            golden, reference = window, f"window of {runner.engine}"
        else:
            yield compare(runner.engine, "window", reference, window, golden, is_exact(runner))
        if f"step.{runner_class.suffix}" in bundle.files:
            runner = load_runner(bundle, runner_class, "step")
            yield compare(runner.engine, "step", "window", step_logits(runner, manifest, stream), window, exact=True)


def is_exact(runner: Runner) -> bool:
    """Whether an engine must give the golden integers: TFLite's built-in kernels round differently from XNNPACK."""
    return "built-in" not in runner.engine


def prove(bundle: Bundle, model: StepModel | WindowModel) -> None:
    """Run the golden stream through a model just loaded; raises `ModelError` if its answers are not the exported ones.

    It takes a few milliseconds and finds what no hash can: an engine that computes wrongly on this machine.
    """
    stream, golden = read_golden(bundle)
    runner, mode = model.runner, model.mode
    logits = (step_logits if mode == "step" else window_logits)(runner, bundle.manifest, stream)
    check = compare(runner.engine, mode, "golden", logits, golden, is_exact(runner))
    if not check.passed:
        raise ModelError(
            f"The {mode} model of {bundle.manifest.name!r} gives wrong answers on {runner.engine}: {check.differing} "
            f"of {check.values} golden logits differ; run `edgeres verify` and use another --engine or --mode."
        )


def installed_engines() -> tuple[list[str], list[str]]:
    """The engines that can be imported here, and for each other one a sentence that says why not."""
    reasons = {engine: why_missing(engine) for engine in ENGINES}
    return [engine for engine, why in reasons.items() if not why], [why for why in reasons.values() if why]


def why_missing(engine: str) -> str:
    """Why an engine cannot be imported, in a sentence; empty if it can."""
    try:
        load_engine(engine)
    except EngineError as error:
        return str(error)
    return ""


def window_logits(runner: Runner, manifest: Manifest, stream: NDArray[np.int8]) -> Logits:
    """The logits of all windows of a stream, one at each hop."""
    frames = encode(stream, runner.inputs[0])
    starts = range(0, len(frames) - manifest.frames + 1, manifest.hop)
    found = [runner.run(frames[None, at : at + manifest.frames])[0][0].copy() for at in starts]
    return decode(np.array(found).reshape(-1, len(manifest.labels)), runner.outputs[0])


def step_logits(runner: Runner, manifest: Manifest, stream: NDArray[np.int8]) -> Logits:
    """The logits of the same windows, computed hop by hop."""
    frames = encode(stream, runner.inputs[0])
    ends = range(manifest.hop, len(frames) + 1, manifest.hop)
    found = [runner.advance(frames[None, end - manifest.hop : end])[0].copy() for end in ends]
    ready = manifest.frames // manifest.hop - 1
    return decode(np.array(found[ready:]).reshape(-1, len(manifest.labels)), runner.outputs[0])


def compare(engine: str, mode: str, against: str, found: Logits, expected: Logits, exact: bool) -> Check:
    """How much two sets of logits differ."""
    difference = np.abs(found.astype(np.int16) - expected)
    largest = int(difference.max(initial=0))
    return Check(engine, mode, against, len(found), found.size, int(np.count_nonzero(difference)), largest, exact)
