"""`edgeres profile` on this machine."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from edge_res.choices import MODES
from edge_res.devices import DeviceFile, describe_mismatch, detect, find_device, known_devices, stay_on
from edge_res.devices.files import devices_of_family, left_out
from edge_res.devices.machine import machine_name
from edge_res.engines import load_engine
from edge_res.errors import ConfigError, EdgeResError, EngineError, ModelError
from edge_res.measured import Settings, key_of, save, saved_settings
from edge_res.model.bundle import Bundle
from edge_res.model.ensemble import read_ensemble
from edge_res.model.verify import installed_engines
from edge_res.profiling.observe import Observer
from edge_res.profiling.recommend import Recommendation, recommend
from edge_res.profiling.reference import best_known_us, keep_best
from edge_res.profiling.report import Report, describe_bundle, describe_machine, make_report
from edge_res.profiling.rows import Row, agreeing, judged_again, measure_row, reference_of, together
from edge_res.profiling.sensors import Sensors, open_sensors
from edge_res.profiling.tables import print_profile
from edge_res.profiling.worker import PHASES, Task
from edge_res.telling import ended_by_signal, say
from edge_res.writing import replace_file, writing

_IDLE_S = 2.0  # that the power of the idle device is measured


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """What to measure, and what to do with it."""

    model: str
    engines: Sequence[str]
    modes: Sequence[str]
    threads: Sequence[int]
    seconds: float
    tries: int
    as_json: bool
    html: Path | None
    save: bool
    device: str | None


def measure_here(options: ProfileOptions) -> None:
    """Measure all combinations, then print, save and plot them as the options say."""
    ensemble = read_ensemble(options.model)
    bundles, manifest = ensemble.bundles, ensemble.manifest
    hop_s = manifest.hop * manifest.front_end.hop_length / manifest.front_end.sample_rate_hz
    name = options.device
    device, which = (detect(), None) if name is None else find_device(name)
    doubts = left_out(known_devices() if name is None else devices_of_family(name))
    for sentence in filter(None, (*doubts, which, stay_on(device.affinity) if name is not None else None)):
        say(sentence)
    check_page(options.html)
    if options.save:
        saved_settings("")  # reports a file that cannot be added to before anything is measured
    tasks = tasks_of(options, bundles)
    sensors = open_sensors(device.reads)
    before = sensors.read()
    measured: list[list[Row]] = []
    try:
        with ended_by_signal(), progress(tasks) as tell:
            idle_w = idle_power(sensors)
            best_us = best_known_us() or math.inf
            for number, task in enumerate(tasks):
                runs, best_us = measure(task, options.tries, best_us, Observer(sensors), idle_w, partial(tell, number))
                measured.append(runs)
    except KeyboardInterrupt:
        say(f"stopped after {len(measured)} of {len(tasks)} combinations; nothing was written or saved")
        sys.exit(130)
    rows = together_judged(measured, best_us)
    if best_us < math.inf:
        keep_best(best_us)
    found = recommend(rows, hop_s)
    settings = {"seconds": options.seconds, "tries": options.tries}
    machine, bundle = {**describe_machine(), "file": file_of(device)}, describe_bundle(bundles)
    report = make_report(machine, bundle, rows, found, (before, sensors.read()), sensors.rail, settings)
    try:
        show(report, as_json=options.as_json, html=options.html)
    finally:  # even if stdout is closed: it took minutes
        if options.save:
            keep(report, bundles, *found)
    if all(row.paced is None for row in rows):
        raise EngineError(f"Nothing could be measured; the first to fail: {rows[0].name}: {rows[0].why.rstrip('.')}.")


def file_of(device: DeviceFile) -> str:
    """The device file that a profile belongs to: the one in use, unless this machine does not match it."""
    return device.name if describe_mismatch(device) is None else detect().name


def check_page(html: Path | None) -> None:
    """Refuse a page that cannot be written, before hours of work."""
    if html is None:
        return
    if not html.absolute().parent.is_dir():
        raise ConfigError(f"There is no folder {html.parent} for {html}; create it first.")
    if html.exists() and not html.is_file():
        raise ConfigError(f"{html} is not a file, and the page would replace it; name another.")


def show(report: Report, *, as_json: bool, html: Path | None) -> None:
    """Print a report and write its page, even if stdout is closed."""
    try:
        with writing():
            if as_json:
                print(json.dumps(report, ensure_ascii=False), flush=True)
            else:
                print_profile(report, Console())
    finally:
        if html is not None:
            from edge_res.profiling.page import page

            replace_file(html, page(report))
            say(f"wrote {html}")


def tasks_of(options: ProfileOptions, bundles: Sequence[Bundle]) -> list[Task]:
    """What to measure; by default all installed engines, both modes, and one, two and four threads."""
    for mode in options.modes:
        if mode not in MODES:
            raise ConfigError(f"There is no mode {mode!r}; use one of {', '.join(MODES)}.")
    engines = list(dict.fromkeys(options.engines))
    for engine in engines:
        load_engine(engine)  # a named one must be there
    if not engines:
        engines, missing_engines = installed_engines()
        for sentence in missing_engines:
            say(f"not measured: {sentence.rstrip('.')}")
    if not engines:
        raise EngineError("No engine is installed; install one with: pip install ai-edge-litert")
    threads = dict.fromkeys(options.threads or default_threads())
    tasks = []
    missing = []
    for engine in engines:
        suffix = load_engine(engine).suffix
        for mode in dict.fromkeys(options.modes or MODES):
            if sentence := what_lacks(bundles, f"{mode}.{suffix}"):
                missing.append(sentence)
            else:
                tasks += [
                    Task(model=options.model, engine=engine, mode=mode, threads=count, seconds=options.seconds)
                    for count in threads
                ]
    if not tasks:
        raise ModelError(missing[0])
    for sentence in dict.fromkeys(missing if options.modes else ()):
        say(f"not measured: {sentence.rstrip('.')}")
    return tasks


def what_lacks(bundles: Sequence[Bundle], file: str) -> str:
    """The sentence on the first bundle that lacks a file; empty if all have it."""
    try:
        for bundle in bundles:
            bundle.file(file)
    except ModelError as error:
        return str(error)
    return ""


def default_threads() -> list[int]:
    """One, two and four, up to the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0))
    return [count for count in (1, 2, 4) if count <= cores]


def measure(
    task: Task,
    tries: int,
    best_us: float,
    observer: Observer,
    idle_w: float | None,
    tell: Callable[[str, float], None],
) -> tuple[list[Row], float]:
    """Runs of a task until two are stable and agree, at most `tries`, and the shortest reference so far."""
    runs: list[Row] = []
    while len(runs) < tries and not (runs and (runs[-1].verdict == "failed" or agreeing(runs))):
        row = measure_row(task, observer, idle_w, tell)
        best_us = min(best_us, reference_of(row))
        runs.append(judged_again(row, best_us))
    return runs, best_us


def together_judged(measured: Sequence[Sequence[Row]], best_us: float) -> list[Row]:
    """A row from the runs of each task, all judged by the shortest reference."""
    return [together([judged_again(run, best_us) for run in runs]) for runs in measured]


def idle_power(sensors: Sensors) -> float | None:
    """The power in W before anything is measured; None if no rail is known."""
    if not sensors.rail:
        return None
    powers = []
    until_s = time.monotonic() + _IDLE_S
    while time.monotonic() < until_s:
        powers.append(sensors.read().power_w)
        time.sleep(_IDLE_S / 10)
    known = [power for power in powers if power is not None]
    return sum(known) / len(known) if known else None


@contextmanager
def progress(tasks: Sequence[Task]) -> Iterator[Callable[[int, str, float], None]]:
    """A bar on a terminal, nothing in a pipe; drawn only on news, since drawing disturbs the measurement."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %")
    with Progress(
        *columns, console=console, auto_refresh=False, disable=not console.is_terminal, transient=True
    ) as bar:
        whole = bar.add_task("profile", total=len(tasks))

        def tell(number: int, phase: str, since_s: float) -> None:
            task = tasks[number]
            done = (PHASES.index(phase) + min(1.0, since_s / (task.seconds + 1)) * (phase == "paced")) / len(PHASES)
            name = f"{task.engine} {task.mode}, {task.threads} thread{'s' * (task.threads > 1)}"
            bar.update(whole, completed=number + done, description=f"{name}: {phase} {since_s:.0f} s", refresh=True)

        yield tell


def keep(report: Report, bundles: Sequence[Bundle], recommendation: Recommendation | None, why_none: str) -> None:
    """Save the recommendation for this machine and bundle."""
    if recommendation is None:
        raise EdgeResError(f"Nothing was saved: {why_none}.")
    machine = machine_name()
    settings = Settings(
        machine=machine,
        model=str(report["bundle"]["name"]),
        engine=recommendation.engine,
        mode=recommendation.mode,
        threads=recommendation.threads,
        reason=recommendation.reason,
        measured=date.today().isoformat(),
    )
    path = save(key_of(machine, bundles), settings, json.dumps(report, ensure_ascii=False))
    say(f"saved in {path}; `edgeres listen` follows it")
