from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from edge_res.profiling.compare import differences, pairs
from edge_res.profiling.tables import pair_texts, table
from tests.profiling.rows import FAILED, report, row


def test_the_same_bundle_can_be_compared() -> None:
    assert differences(report(row()), report(row())) == []


def test_different_models_and_hops_are_named() -> None:
    (models,) = differences(report(row()), report(row(), name="mine", sha256="cd"))
    assert "default and mine" in models
    _, hops = differences(report(row()), report(row(), sha256="cd", hop_ms=40.0))
    assert "80.0 and 40.0 ms" in hops


def test_ratios_are_the_second_over_the_first() -> None:
    one = report(row(p50_us=100.0, cpu_share=0.002), row(threads=2), FAILED)
    two = report(row(mode="window"), row(p50_us=250.0, cpu_share=0.001, verdict="noisy"), FAILED)
    first, failed = pairs(one, two)
    assert first.key == ("litert", "step", 1)
    assert first.ratio("p50_us") == pytest.approx(2.5)
    assert first.ratio("cpu_share") == pytest.approx(0.5)
    assert first.verdicts == ("stable", "noisy")
    assert failed.ratio("p50_us") is None


def test_a_narrow_terminal_cuts_nothing_off() -> None:
    (pair,) = pairs(report(row()), report(row(verdict="throttled")))
    cells = pair_texts(replace(pair, key=("onnxruntime", "window", 2)))
    out = io.StringIO()
    Console(file=out, width=80).print(table(["1→2", "p50 µs", "p99 µs", "core %", "RSS MB", "verdicts"], [cells]))
    assert "…" not in out.getvalue()
    assert "throttled" in out.getvalue()
