"""A row of a profile: one combination of engine, mode and threads, measured in a process of its own and judged."""

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

COMMAND = (sys.executable, "-m", "edge_res.cli", "profile-row")  # as `listen` is started: so is its memory

AGREE = 0.05  # how far the medians of two runs may be apart, for either to be believed

_LOOK_S = 1.0
_END_S = 30.0  # that a process may take to end once it has told all
_SERIES = 2  # decimals of a microsecond


@dataclass(frozen=True)
class Phase:
    """The hops of one pace: their times, what they cost, and whether that can be trusted.

    `real_time_factor` is the time that the loop was at work, over the length of the audio; `cpu_share` the processor
    time of the whole process, over the same: 1 is one core.
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
    """All that is known of a combination; without figures where it failed, and `why` says so."""

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
        """As JSON has it: the figures of the paced run, which are the device's, stand at the row itself too."""
        body = asdict(self)
        paced = body["paced"] or {}
        head = {key: body.pop(key) for key in ("engine", "mode", "threads", "verdict", "why")}
        names = ("p50_us", "p95_us", "p99_us", "max_us", "misses", "cpu_share", "real_time_factor")
        return {**head, **{name: paced.get(name) for name in names}, "rss_bytes": body.pop("rss_bytes"), **body}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Row:
        """What `to_dict` gave."""
        phases = {name: body[name] and _phase(body[name]) for name in ("paced", "unpaced")}
        return cls(**{field.name: body[field.name] for field in fields(cls)} | phases)


def _phase(body: Mapping[str, Any]) -> Phase:
    return Phase(**{**body, "conditions": Conditions(**body["conditions"])})


def measure_row(task: Task, observer: Observer, idle_w: float | None, tell: Callable[[str, float], None]) -> Row:
    """Measure a combination; `tell` is given the phase and the seconds since it began, about once a second.

    It is judged by itself: `judged_again` compares it with other times.

    The process is ended with this one's exception, and ends itself when this one is no more: nothing runs on.
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
            seen, told = follow(worker, observer, tell)
            with suppress(subprocess.TimeoutExpired):  # it has told all
                worker.wait(_END_S)
        finally:
            worker.kill()  # where it has not ended by itself
        errors.seek(0)
        faults = errors.read().decode(errors="replace").strip().splitlines()
    if "result" not in told:
        why = told.get("error") or f"its process ended with {ended(worker.returncode)}" + "".join(
            f": {line}" for line in faults[-1:]
        )
        return Row(task.engine, task.mode, task.threads, "failed", why)
    return judged(task, told["result"], seen, idle_w)


def ended(code: int | None) -> str:
    """A process's end in words."""
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def follow(
    worker: subprocess.Popen[bytes], observer: Observer, tell: Callable[[str, float], None]
) -> tuple[dict[str, list[Instant]], dict[str, Any]]:
    """Read what a worker tells until it ends, and look at the machine meanwhile; the instants of each phase."""
    assert worker.stdout is not None
    ours = (worker.pid, os.getpid())
    seen: dict[str, list[Instant]] = {}
    told: dict[str, Any] = {}
    phase, rest = "load", b""
    with selectors.DefaultSelector() as ready:
        ready.register(worker.stdout, selectors.EVENT_READ)
        while True:
            read = os.read(worker.stdout.fileno(), 1 << 16) if ready.select(_LOOK_S) else None
            if read == b"":
                return seen, told
            now = observer.look(ours)
            seen.setdefault(phase, []).append(now)
            *lines, rest = (rest + (read or b"")).split(b"\n")
            for line in lines:
                told |= json.loads(line)
                phase = told["phase"]
                seen.setdefault(phase, []).append(now)
            tell(phase, now.at_s - seen[phase][0].at_s)


def judged(task: Task, result: dict[str, Any], seen: dict[str, list[Instant]], idle_w: float | None) -> Row:
    """A worker's figures, with what was seen of the machine meanwhile."""
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
    """A row as it is judged when the shortest time of the reference is known."""
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
    """Whether the last of several runs is stable, so was one before it that took as long, and none was quicker.

    Two that agree on being slow, where a third was quick, were both disturbed.
    """
    stable = [row.paced.p50_us for row in runs if row.paced and row.verdict == "stable"]
    if runs[-1].verdict != "stable":
        return False
    *before, last = stable
    as_long = any(max(one, last) <= (1 + AGREE) * min(one, last) for one in before)
    return as_long and last <= (1 + AGREE) * min(stable)


def together(runs: Sequence[Row]) -> Row:
    """The last of several runs of a combination, each in a process of its own, as all of them make it look.

    What is stable within a process may differ in the next one, by where its memory lies and by what the host does.
    One run alone is judged by itself.
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
        f"the last is not within {AGREE:.0%} of another and of the quickest",
    )


def reference_of(row: Row) -> float:
    """The shortest time that the reference took around its runs."""
    found = [phase.conditions.reference_us for phase in (row.paced, row.unpaced) if phase]
    return min((us for us in found if us), default=math.inf)


def energy(paced: Phase, unpaced: Phase, idle_w: float | None, hop_s: float) -> dict[str, float] | None:
    """Where a rail tells the power: what a decision takes beyond the idle device, from the unpaced run, and with it."""
    if idle_w is None or paced.conditions.power_w is None or unpaced.conditions.power_w is None:
        return None
    return {
        "idle_w": idle_w,
        "paced_w": paced.conditions.power_w,
        "unpaced_w": unpaced.conditions.power_w,
        "decision_mj": round((unpaced.conditions.power_w - idle_w) * unpaced.mean_us / 1000, 5),
        "decision_with_idle_mj": round(1000 * paced.conditions.power_w * hop_s, 3),
    }
