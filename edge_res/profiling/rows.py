"""A row of a profile: one combination of engine, mode and threads, measured in a separate process and judged."""

from __future__ import annotations

import json
import math
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from edge_res.profiling.judge import Conditions, Verdict, block_medians, judge
from edge_res.profiling.observe import Instant, Observer, conditions
from edge_res.profiling.worker import Task

COMMAND = (sys.executable, "-m", "edge_res.cli", "profile-row")  # started like `listen`, so that its memory is the same
AGREE = 0.05  # the most that the medians of two runs may differ to confirm each other
_LOOK_S = 1.0
_END_S = 30.0  # the longest that a process may take to end after its last line
_SERIES = 2  # decimals of a microsecond


@dataclass(frozen=True)
class Phase:
    """The hops of one phase, paced or unpaced: their times, their cost, and the verdict on them.

    `real_time_factor` is the loop's working time over the length of the audio, `cpu_share` the processor time of the
    whole process over the same; 1 is one core.
    """

    hops: int
    p50_us: float
    p95_us: float
    p99_us: float
    max_us: float
    mean_us: float
    blocks_us: tuple[float, ...]
    misses: int
    cpu_share: float
    real_time_factor: float
    verdict: str
    why: str
    conditions: Conditions


@dataclass(frozen=True)
class Row:
    """The figures of a combination; none if it failed, and `why` says why."""

    engine: str
    mode: str
    threads: int
    verdict: str
    why: str
    engine_version: str = ""
    paced: Phase | None = None
    unpaced: Phase | None = None
    cold: dict[str, float] | None = None
    warm_up: dict[str, Any] | None = None
    stages_us: dict[str, float] | None = None
    stages_whole_us: float | None = None
    ops_us: dict[str, float] | None = None
    rss_bytes: int | None = None
    energy: dict[str, float] | None = None
    hops_us: tuple[float, ...] = ()
    attempts: int = 1
    p50s_us: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.engine} {self.mode}, {self.threads} thread{'s' * (self.threads > 1)}"

    @property
    def label(self) -> str:
        return f"{self.engine} {self.mode} {self.threads}"

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON; the figures of the paced run, which are the device's, are repeated in the row itself."""
        body = asdict(self)
        paced = body["paced"] or {}
        head = {key: body.pop(key) for key in ("engine", "mode", "threads", "verdict", "why")}
        names = ("p50_us", "p95_us", "p99_us", "max_us", "misses", "cpu_share", "real_time_factor")
        return {**head, **{name: paced.get(name) for name in names}, "rss_bytes": body.pop("rss_bytes"), **body}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Row:
        """The row from what `to_dict` returned."""
        phases = {name: body[name] and _phase(body[name]) for name in ("paced", "unpaced")}
        return cls(**{field.name: body[field.name] for field in fields(cls)} | phases)


def _phase(body: Mapping[str, Any]) -> Phase:
    return Phase(**{**body, "conditions": Conditions(**body["conditions"])})


def measure_row(task: Task, observer: Observer, idle_w: float | None, progress: Callable[[str, float], None]) -> Row:
    """Measure a combination; `progress` is called with the phase and the seconds since it began, about once a second.

    The row is judged by itself; `judged_again` compares it with other times. The process is killed if this one raises,
    and ends itself if this one dies, so that nothing is left running.
    """
    command = [*COMMAND, json.dumps(asdict(task))]
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as worker,
    ):
        try:
            seen, answer = follow(worker, observer, progress)
            with suppress(subprocess.TimeoutExpired):  # it has printed everything
                worker.wait(_END_S)
        finally:
            worker.kill()  # if it has not ended by itself
        errors.seek(0)
        faults = errors.read().decode(errors="replace").strip().splitlines()
    if "result" not in answer:
        why = answer.get("error") or f"its process ended with {ended(worker.returncode)}" + "".join(
            f": {line}" for line in faults[-1:]
        )
        return Row(task.engine, task.mode, task.threads, "failed", why)
    return judged(task, answer["result"], seen, idle_w)


def ended(code: int | None) -> str:
    """How a process ended, in words."""
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def follow(
    worker: subprocess.Popen[bytes], observer: Observer, progress: Callable[[str, float], None]
) -> tuple[dict[str, list[Instant]], dict[str, Any]]:
    """Read what a worker prints until it ends, and look at the machine meanwhile.

    Returns the instants of each phase, and all that the worker printed.
    """
    assert worker.stdout is not None
    ours = (worker.pid, os.getpid())
    seen: dict[str, list[Instant]] = {}
    printed: dict[str, Any] = {}
    phase, rest = "load", b""
    with selectors.DefaultSelector() as ready:
        ready.register(worker.stdout, selectors.EVENT_READ)
        while True:
            read = os.read(worker.stdout.fileno(), 1 << 16) if ready.select(_LOOK_S) else None
            if read == b"":
                return seen, printed
            now = observer.look(ours)
            seen.setdefault(phase, []).append(now)
            *lines, rest = (rest + (read or b"")).split(b"\n")
            for line in lines:
                printed |= json.loads(line)
                phase = printed["phase"]
                seen.setdefault(phase, []).append(now)
            progress(phase, now.at_s - seen[phase][0].at_s)


def judged(task: Task, result: dict[str, Any], seen: dict[str, list[Instant]], idle_w: float | None) -> Row:
    """The row from a worker's measurements and what was seen of the machine meanwhile."""
    paced = phase_of(result["paced"], seen["paced"])
    unpaced = phase_of(result["unpaced"], seen["unpaced"])
    return Row(
        engine=task.engine,
        mode=task.mode,
        threads=task.threads,
        verdict=paced.verdict,
        why=paced.why,
        engine_version=result["engine"],
        paced=paced,
        unpaced=unpaced,
        hops_us=tuple(result["paced"]["hops_us"]),
        energy=energy(paced, unpaced, idle_w, result["paced"]["audio_s"] / result["paced"]["hops"]),
        **{name: result[name] for name in ("cold", "warm_up", "stages_us", "stages_whole_us", "ops_us", "rss_bytes")},
    )


def phase_of(run: dict[str, Any], seen: Sequence[Instant]) -> Phase:
    """The statistics of a run."""
    times = np.array(run["hops_us"])
    wait_share = None if run["wait_s"] is None else run["wait_s"] / max(1e-6, run["cpu_s"])
    found = conditions(seen, wait_share, run["reference_us"])
    verdict: Verdict = judge(run["hops_us"], found)
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return Phase(
        hops=len(times),
        p50_us=round(float(p50), _SERIES),
        p95_us=round(float(p95), _SERIES),
        p99_us=round(float(p99), _SERIES),
        max_us=round(float(times.max()), _SERIES),
        mean_us=round(float(times.mean()), _SERIES),
        blocks_us=tuple(round(float(value), _SERIES) for value in block_medians(times)),
        misses=run["misses"],
        cpu_share=round(run["cpu_s"] / run["audio_s"], 6),
        real_time_factor=round(float(times.mean()) / (1e6 * run["audio_s"] / run["hops"]), 6),
        verdict=verdict.state,
        why=verdict.why,
        conditions=found,
    )


def judged_again(row: Row, best_us: float) -> Row:
    """The row judged again, with the shortest time of the reference."""
    if row.paced is None or row.unpaced is None:
        return row
    paced = judge(row.hops_us, row.paced.conditions, best_us)
    unpaced = judge(row.unpaced.blocks_us, row.unpaced.conditions, best_us)
    return replace(
        row,
        verdict=paced.state,
        why=paced.why,
        paced=replace(row.paced, verdict=paced.state, why=paced.why),
        unpaced=replace(row.unpaced, verdict=unpaced.state, why=unpaced.why),
    )


def agreeing(runs: Sequence[Row]) -> bool:
    """Whether the last run is stable, agrees with an earlier stable one, and none was faster.

    Two runs that agree but are slower than a third were both disturbed.
    """
    stable = [row.paced.p50_us for row in runs if row.paced and row.verdict == "stable"]
    if runs[-1].verdict != "stable":
        return False
    *before, last = stable
    as_long = any(max(one, last) <= (1 + AGREE) * min(one, last) for one in before)
    return as_long and last <= (1 + AGREE) * min(stable)


def together(runs: Sequence[Row]) -> Row:
    """The last of several runs of a combination, each in a separate process, with a verdict by all of them.

    What is stable within one process may differ in the next, because of memory placement or the host. A single run is
    judged by itself.
    """
    last = runs[-1]
    found = replace(last, attempts=len(runs), p50s_us=tuple(row.paced.p50_us for row in runs if row.paced))
    if len(runs) == 1 or last.verdict == "failed" or agreeing(runs):
        return found
    stable = [row for row in runs if row.verdict == "stable"]
    if not stable:
        return found
    times = ", ".join(f"{row.paced.p50_us:.0f}" for row in stable if row.paced)
    return replace(
        found,
        verdict="noisy",
        why=f"{len(stable)} of {len(runs)} runs {'was' if len(stable) == 1 else 'were'} stable (p50 {times} µs): "
        f"the last is not within {AGREE:.0%} of another and of the fastest",
    )


def reference_of(row: Row) -> float:
    """The shortest time of the reference around the runs of a row."""
    found = [phase.conditions.reference_us for phase in (row.paced, row.unpaced) if phase]
    return min((us for us in found if us), default=math.inf)


def energy(paced: Phase, unpaced: Phase, idle_w: float | None, hop_s: float) -> dict[str, float] | None:
    """Energy per decision: beyond the idle device, from the unpaced run, and in all; None if no power rail is known."""
    if idle_w is None or paced.conditions.power_w is None or unpaced.conditions.power_w is None:
        return None
    return {
        "idle_w": idle_w,
        "paced_w": paced.conditions.power_w,
        "unpaced_w": unpaced.conditions.power_w,
        "decision_mj": round((unpaced.conditions.power_w - idle_w) * unpaced.mean_us / 1000, 5),
        "decision_with_idle_mj": round(1000 * paced.conditions.power_w * hop_s, 3),
    }
