"""Rows with invented figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_res.profiling.judge import Conditions
from edge_res.profiling.recommend import recommend
from edge_res.profiling.report import Report, make_report
from edge_res.profiling.rows import Phase, Row
from edge_res.profiling.sensors import Sensed

HOP_S = 0.08
PHASE = Phase(
    hops=100,
    p50_us=100.0,
    p95_us=150.0,
    p99_us=200.0,
    max_us=300.0,
    mean_us=110.0,
    blocks_us=(100.0, 101.0),
    misses=0,
    cpu_share=0.002,
    real_time_factor=0.0012,
    verdict="stable",
    why="it is quiet",
    conditions=Conditions(temperatures_c=(50.0, 61.0), clocks_mhz=(1800.0, 1500.0)),
)
ROW = Row(
    engine="litert",
    mode="step",
    threads=1,
    verdict="stable",
    why="it is quiet",
    engine_version="LiteRT 2.3.0 (XNNPACK)",
    paced=PHASE,
    unpaced=replace(PHASE, p50_us=50.0),
    cold={"import_ms": 10.0, "load_ms": 20.0, "first_run_us": 400.0, "first_decision_us": 300.0},
    warm_up={"hops": 150, "p50_us": 50.0, "settled": True},
    stages_us={
        "ring": 2.0,
        "level": 3.0,
        "front_end": 20.0,
        "quantize": 5.0,
        "engine": 15.0,
        "decide": 2.0,
        "rest": 4.0,
    },
    stages_whole_us=50.0,
    rss_bytes=58_000_000,
    hops_us=(100.0, 101.0, 300.0),
)
FAILED = Row("onnxruntime", "step", 1, "failed", "it <could> not be loaded")


def row(engine: str = "litert", mode: str = "step", threads: int = 1, verdict: str = "stable", **paced: Any) -> Row:
    """A row with some figures of its paced run replaced."""
    assert ROW.paced
    rss_bytes = paced.pop("rss_bytes", ROW.rss_bytes)
    phase = replace(ROW.paced, verdict=verdict, **paced)
    return replace(ROW, engine=engine, mode=mode, threads=threads, verdict=verdict, paced=phase, rss_bytes=rss_bytes)


def report(*rows: Row, **bundle: Any) -> Report:
    return make_report(
        {"name": "a <board>, 4 cores", "system": "Linux", "python": "3.11.2"},
        {"name": "default", "sha256": "ab", "hop_ms": 80.0, "window_ms": 1440.0, "network": [{}], **bundle},
        rows,
        recommend(rows, HOP_S),
        (Sensed(50.0), Sensed(61.0)),
        "INA3221: VDD_IN",
        {"seconds": 10.0, "tries": 2},
    )
