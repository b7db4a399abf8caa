"""Measures one combination of engine, mode and threads, in a process of its own: its memory and cold run are its own.

The process is started by `rows`, told its `Task` on the command line, and tells on stdout, a JSON object a line, which
phase begins, and at the end all that was measured, as `Measured` has it, or the error that ended it.
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
_FEWEST, _MOST = 100, 5000  # hops unpaced
_FEWEST_PACED = 40
_SETTLING_S = 1.0  # at the start of the paced phase, in which clocks fall
_BLOCK_S = 0.1  # of the warm-up and of the stages, after which is looked: 10 to 50 hops
_WARM_UP_S = 5.0
_WARM = 0.05  # how far the last three blocks of a warm-up may be apart
_STAGE_ROUNDS = 12
_OP_RUNS = 200


@dataclass(frozen=True)
class Task:
    """What to measure: a bundle or ensemble as `listen` names it, and for how long it is paced."""

    model: str
    engine: str
    mode: str
    threads: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """A phase as it was measured: the time of each hop, and what the process took meanwhile.

    `hops` have run in all, of which `hops_us` leaves out the first ones of a paced run. `misses` are hops that were not
    done when the next one's samples had come; `wait_s` is how long the process could have run and had to wait for a
    core, None where the system does not tell. `reference_us` is the slower of the times of `reference` around the run.
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
    """All of one combination; times of hops in order, `ops_us` per operator and hop, None where the engine cannot tell.

    `stages_whole_us` is the median hop of the same minutes without the wrappers that time the stages.
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
    """Measure a task given as JSON, and tell of it on `out`."""

    def tell(**body: Any) -> None:
        print(json.dumps(body), file=out, flush=True)

    try:
        tell(result=asdict(measure(Task(**json.loads(text)), lambda phase: tell(phase=phase))))
    except EdgeResError as error:
        tell(error=str(error))


def measure(task: Task, begin: Callable[[str], None]) -> Measured:
    """Measure one combination; `begin` is told each of `PHASES` before it starts."""
    begin("load")
    started = perf_counter()
    plain: Any = load_engine(task.engine)
    engine: Any = type("Engine", (plain,), {})  # a class of its own, so that its runs can be timed
    imported = perf_counter()
    ensemble = read_ensemble(task.model)
    with timed({"run": [(engine, "run")]}) as calls:  # an engine runs a model once when it loads it
        models = ensemble.load(engine, task.mode, task.threads)
    loaded = perf_counter()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        loop = Loop(ensemble, models, nowhere)
        decided = loop.run(loop.filling).hops_us[-1]
        for bundle, model in zip(ensemble.bundles, models, strict=True):
            prove(bundle, model)  # figures of a model that computes wrongly here are of no use
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
    """The loop of `listen`, with a source, a stream and sinks, for as many hops as are asked for at a time."""

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
        """The next hops, at the pace of the signal, or one after the other."""
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
        """Median µs of each stage, and of the whole without what times the stages, in turn: noise meets both alike."""
        skipped = block // 5  # hops, with what the other half left in the caches
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
    """Microseconds a hop of each kind of operator, of the engine that tells."""
    if task.engine != "onnxruntime":
        return None
    from edge_res.engines.onnxruntime import op_times

    found = Counter[str]()
    for bundle in bundles:
        found.update(op_times(bundle.member(f"{task.mode}.onnx"), task.threads, _OP_RUNS))
    return dict(found)


def referred(run: Callable[[], Run]) -> Run:
    """A run, with how fast the processor was before and after it."""
    before_us = reference_us()
    done = run()
    return replace(done, reference_us=max(before_us, reference_us()))


def warm(block: Callable[[], list[float]]) -> dict[str, Any]:
    """Run blocks of hops until the medians of the last three are alike, or time is up."""
    started, times = perf_counter(), block()
    hops, medians = len(times), [median(times)]
    while perf_counter() - started < _WARM_UP_S:
        medians.append(median(block()))
        last = medians[-3:]
        if len(last) == 3 and max(last) <= min(last) * (1 + _WARM):
            return {"hops": hops * len(medians), "p50_us": medians[-1], "settled": True}
    return {"hops": hops * len(medians), "p50_us": medians[-1], "settled": False}


def waited_s(path: Path = Path("/proc/self/schedstat")) -> float | None:
    """How long this process was ready to run and waited for a core (proc(5): the second field, in ns)."""
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
