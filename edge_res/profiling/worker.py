"""Measures one combination of engine, mode and threads in a separate process, whose memory and cold start are its own.

`rows` starts the process with a `Task` on the command line. It prints JSON objects on stdout, one per line: the phase
that begins, and at the end all measurements, a `Measured`, or the error that ended it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, TextIO

from edge_res.engines import load_engine
from edge_res.errors import EdgeResError
from edge_res.loop import Stream, listen
from edge_res.model.bundle import Bundle
from edge_res.model.ensemble import Ensemble, read_ensemble
from edge_res.model.models import StepModel, WindowModel
from edge_res.model.verify import prove
from edge_res.profiling.reference import reference_us
from edge_res.profiling.timing import Clocked, Synthetic, parts_of, stages, timed
from edge_res.sinks.health import HealthReport
from edge_res.sinks.jsonl import JsonLines
from edge_res.sinks.tee import Tee
from edge_res.sources.adapters import Paced

PHASES = ("load", "warm-up", "unpaced", "stages", "paced", "ops")

_UNPACED_S = 2.0
_FEWEST, _MOST = 100, 5000  # unpaced hops
_FEWEST_PACED = 40
_SETTLING_S = 1.0  # at the start of the paced phase, while clocks fall
_BLOCK_S = 0.1  # a block of the warm-up and of the stages: 10 to 50 hops
_WARM_UP_S = 5.0
_WARM = 0.05  # how much the last three blocks of a settled warm-up may differ
_STAGE_ROUNDS = 12
_OP_RUNS = 200


@dataclass(frozen=True)
class Task:
    """What to measure: a bundle or ensemble as `listen` takes it, and how many seconds to run it paced."""

    model: str
    engine: str
    mode: str
    threads: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """The measurements of a phase: the time of each hop, and what the process used.

    `hops` counts all; `hops_us` leaves out the first ones of a paced run. `misses` are hops that were not done when the
    samples of the next one arrived; `wait_s` is how long the process was ready and waited for a core, None if
    unknown. `reference_us` is the longer of the times of `reference` before and after the run.
    """

    hops: int
    hops_us: list[float]
    misses: int
    audio_s: float
    wall_s: float
    cpu_s: float
    wait_s: float | None
    reference_us: float


@dataclass(frozen=True)
class Measured:
    """The measurements of one combination; `ops_us` is per operator and hop, None if the engine has no profiler.

    `stages_whole_us` is the median hop without the wrappers that time the stages, measured alternately with them.
    """

    engine: str
    cold: dict[str, float]
    warm_up: dict[str, Any]
    unpaced: Run
    paced: Run
    stages_us: dict[str, float]
    stages_whole_us: float
    rss_bytes: int
    ops_us: dict[str, float] | None


def main(text: str, out: TextIO) -> None:
    """Measure a task given as JSON, and print progress and result to `out`."""

    def send(**body: Any) -> None:
        print(json.dumps(body), file=out, flush=True)

    try:
        send(result=asdict(measure(Task(**json.loads(text)), lambda phase: send(phase=phase))))
    except EdgeResError as error:
        send(error=str(error))


def measure(task: Task, begin: Callable[[str], None]) -> Measured:
    """Measure one combination; `begin` is called with each of `PHASES` as it begins."""
    begin("load")
    started = perf_counter()
    plain: Any = load_engine(task.engine)
    engine: Any = type("Engine", (plain,), {})  # a subclass, so that its runs can be timed
    imported = perf_counter()
    ensemble = read_ensemble(task.model)
    with timed({"run": [(engine, "run")]}) as calls:  # an engine runs a model once while loading it
        models = ensemble.load(engine, task.mode, task.threads)
    loaded = perf_counter()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        loop = Loop(ensemble, models, nowhere)
        decided = loop.run(loop.filling).hops_us[-1]
        for bundle, model in zip(ensemble.bundles, models, strict=True):
            prove(bundle, model)  # figures of a model that gives wrong answers are useless
        begin("warm-up")
        block = round(max(10, min(50, _BLOCK_S * 1e6 / decided)))
        warm_up = warm(lambda: loop.run(block).hops_us)
        begin("unpaced")
        unpaced = referred(lambda: loop.run(round(max(_FEWEST, min(_MOST, _UNPACED_S * 1e6 / warm_up["p50_us"])))))
        begin("stages")
        stages_us, whole_us = loop.stages(block)
        begin("paced")
        settling = max(3, round(_SETTLING_S / loop.hop_s))
        hops = settling + max(_FEWEST_PACED, round(task.seconds / loop.hop_s))
        paced = referred(lambda: loop.run(hops, paced=True))
    rss = memory("VmHWM")
    begin("ops")
    return Measured(
        engine=models[0].runner.engine,
        cold={
            "import_ms": round(1e3 * (imported - started), 1),
            "load_ms": round(1e3 * (loaded - imported), 1),
            "first_run_us": round(sum(calls["run"]) / 1000, 2),
            "first_decision_us": decided,
        },
        warm_up=warm_up,
        unpaced=unpaced,
        paced=replace(paced, hops_us=paced.hops_us[settling:]),
        stages_us=stages_us,
        stages_whole_us=whole_us,
        rss_bytes=rss,
        ops_us=operators(task, ensemble.bundles),
    )


class Loop:
    """The loop of `listen` with a source, a stream and sinks, run for some hops at a time."""

    def __init__(self, ensemble: Ensemble, models: Sequence[StepModel | WindowModel], out: TextIO) -> None:
        manifest = ensemble.manifest
        params = manifest.front_end
        length = manifest.hop * params.hop_length
        self.hop_s = length / params.sample_rate_hz
        self.filling = manifest.frames // manifest.hop + params.win_length // length  # hops until a window is full
        self._noise = Synthetic(params.sample_rate_hz, params.channels, length)
        self._source = Clocked(self._noise, length)
        self._models = models
        self._chains = ensemble.chains(models)
        self._stream = Stream(self._source, self._chains, manifest.decide)
        self._sink = Tee([JsonLines(out, False), HealthReport(None)])
        self._sink.start([self._source], manifest)

    def run(self, hops: int, paced: bool = False) -> Run:
        """Run the next hops, at the pace of the signal or one right after another."""
        source = self._source
        self._noise.hops = hops
        source.start(Paced(self._noise) if paced else self._noise)
        before, wall_s, cpu_s = waited_s(), perf_counter(), process_time()
        listen([self._stream], [source], self._sink)
        cpu_s, wall_s, after = process_time() - cpu_s, perf_counter() - wall_s, waited_s()
        wait_s = None if before is None or after is None else after - before
        missed = source.missed(self.hop_s) if paced else sum(ns > 1e9 * self.hop_s for ns in source.spent_ns)
        return Run(
            hops, [round(ns / 1000, 2) for ns in source.spent_ns], missed, hops * self.hop_s, wall_s, cpu_s, wait_s, 0.0
        )

    def stages(self, block: int) -> tuple[dict[str, float], float]:
        """Median µs of each stage, and of the whole without wrappers; alternating, so that noise affects both alike."""
        skipped = block // 5  # hops, affected by what the other half left in the caches
        spent: dict[str, list[int]] = {}
        rings: list[int] = []
        wholes: list[int] = []
        plain: list[float] = []
        for _ in range(_STAGE_ROUNDS):
            plain += self.run(block).hops_us[skipped:]
            with timed(parts_of(self._stream, self._chains, self._models)) as calls:
                self.run(block)
            for name, times in calls.items():
                each = len(times) // block  # calls a hop; those at the end of the stream are left out
                spent.setdefault(name, []).extend(times[skipped * each : block * each])
            rings += self._source.ring_ns[skipped:]
            wholes += self._source.spent_ns[skipped:]
        return stages(spent, rings, wholes), round(median(plain), 2)


def operators(task: Task, bundles: Sequence[Bundle]) -> dict[str, float] | None:
    """Microseconds per hop of each kind of operator; None for an engine without a profiler."""
    if task.engine != "onnxruntime":
        return None
    from edge_res.engines.onnxruntime import op_times

    found = Counter[str]()
    for bundle in bundles:
        found.update(op_times(bundle.file(f"{task.mode}.onnx"), task.threads, _OP_RUNS))
    return dict(found)


def referred(run: Callable[[], Run]) -> Run:
    """A run, with the reference time around it."""
    before_us = reference_us()
    done = run()
    return replace(done, reference_us=max(before_us, reference_us()))


def warm(block: Callable[[], list[float]]) -> dict[str, Any]:
    """Run blocks of hops until the medians of the last three agree, or for `_WARM_UP_S` at most."""
    started, times = perf_counter(), block()
    hops, medians = len(times), [median(times)]
    while perf_counter() - started < _WARM_UP_S:
        medians.append(median(block()))
        last = medians[-3:]
        if len(last) == 3 and max(last) <= min(last) * (1 + _WARM):
            return {"hops": hops * len(medians), "p50_us": medians[-1], "settled": True}
    return {"hops": hops * len(medians), "p50_us": medians[-1], "settled": False}


def waited_s(path: Path = Path("/proc/self/schedstat")) -> float | None:
    """How long this process was ready and waited for a core (proc(5): the second field, in ns); None if unknown."""
    try:
        return int(path.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def memory(field: str, path: Path = Path("/proc/self/status")) -> int:
    """A size of /proc/self/status (proc(5)) in bytes; `VmHWM` is the largest resident set so far."""
    for line in path.read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    return 0
