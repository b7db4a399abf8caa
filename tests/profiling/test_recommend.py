from __future__ import annotations

import pytest

from edge_res.profiling.recommend import recommend
from tests.profiling.rows import FAILED, HOP_S, row


def test_the_lowest_cost_wins() -> None:
    found, _ = recommend([row(cpu_share=0.004), row("onnxruntime", "window", cpu_share=0.003), FAILED], HOP_S)
    assert found
    assert (found.engine, found.mode, found.threads) == ("onnxruntime", "window", 1)
    assert "0.30% of a core" in found.reason
    assert "litert step, 1 thread 0.40%" in found.reason


def test_at_equal_cost_fewer_threads_and_then_less_memory_win() -> None:
    rows = [
        row(threads=2, cpu_share=0.00200),
        row("onnxruntime", cpu_share=0.00204, rss_bytes=80_000_000),
        row(cpu_share=0.00205, rss_bytes=50_000_000),
    ]
    found, _ = recommend(rows, HOP_S)
    assert found
    assert (found.engine, found.threads) == ("litert", 1)
    found, _ = recommend([row(threads=2, cpu_share=0.0020), row(cpu_share=0.0030)], HOP_S)
    assert found
    assert found.threads == 2


@pytest.mark.parametrize("verdict", ["noisy", "drifting", "throttled"])
def test_an_unstable_row_is_not_recommended(verdict: str) -> None:
    found, _ = recommend([row(cpu_share=0.0088, verdict=verdict), row("onnxruntime", cpu_share=0.009)], HOP_S)
    assert found
    assert found.engine == "onnxruntime"
    assert "1 of 2 combinations were not stable: litert step, 1 thread" in found.reason
    none, why = recommend([row(verdict=verdict)], HOP_S)
    assert none is None
    assert verdict in why


@pytest.mark.parametrize("verdict", ["noisy", "drifting", "throttled"])
def test_nothing_is_recommended_if_a_disturbed_row_used_less(verdict: str) -> None:
    none, why = recommend([row(cpu_share=0.0084, verdict=verdict), row(mode="window", cpu_share=0.0101)], HOP_S)
    assert none is None
    assert why.startswith(
        f"litert step, 1 thread used 0.84% of a core although it was {verdict}, less than any stable run (1.01%);"
    )


def test_a_row_that_does_not_keep_up_is_not_recommended() -> None:
    found, _ = recommend([row(cpu_share=0.1, misses=1), row("onnxruntime", cpu_share=0.2)], HOP_S)
    assert found
    assert found.engine == "onnxruntime"
    none, why = recommend([row(p99_us=41_000.0)], HOP_S)
    assert none is None
    assert "none keeps up" in why


def test_nothing_is_recommended_if_nothing_was_measured() -> None:
    none, why = recommend([FAILED], HOP_S)
    assert none is None
    assert "no combination" in why
