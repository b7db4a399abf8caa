"""What a person reads of rows."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from edge_res.profiling import tables
from edge_res.profiling.judge import Conditions
from edge_res.profiling.rows import Row
from edge_res.profiling.tables import print_profile
from tests.profiling.rows import FAILED, PHASE, ROW, report, row

ENERGY = {"idle_w": 2.0, "paced_w": 2.1, "unpaced_w": 3.0, "decision_mj": 0.11, "decision_with_idle_mj": 168.0}


def printed(rows: list[Row], width: int = 80) -> str:
    out = io.StringIO()
    print_profile(json.loads(json.dumps(report(*rows))), Console(file=out, width=width))  # as one that was read again
    return out.getvalue()


def test_a_line_a_row_also_of_one_that_failed() -> None:
    lines = tables.hops([ROW, FAILED])
    assert lines[0] == ["litert step 1", "100", "150", "200", "300", "0/100", "50", "400", "stable"]
    assert lines[1] == ["onnxruntime step 1", *["–"] * 7, "failed"]
    assert tables.costs([ROW, FAILED]) == [
        ["litert step 1", "0.20%", "0.20%", "0.00120", "58.0 MB", "30 ms", "150 hops"]
    ]
    assert all(len(line) == len(tables.HOPS) for line in lines)
    assert len(tables.costs([ROW])[0]) == len(tables.COSTS)


def test_a_table_without_a_line_is_none() -> None:
    assert [head for head, _ in tables.all_of([FAILED])] == [tables.HOPS]
    assert len(tables.all_of([ROW, FAILED])) == 3
    assert "of the stages" not in printed([FAILED])


def test_the_stages_and_how_far_their_sum_is_from_the_whole() -> None:
    (line,) = tables.stage_times([ROW, FAILED])
    assert line[-2:] == ["51.0", "50.0"]
    assert len(line) == len(tables.STAGE_TIMES)
    told = tables.stages_sentence([ROW, FAILED])
    assert "at most 2.0% from the whole" in told
    assert told.endswith("engine are 16 µs.")


def test_a_warm_up_that_never_settled_is_told() -> None:
    (line,) = tables.costs([replace(ROW, warm_up={"hops": 900, "p50_us": 50.0, "settled": False})])
    assert line[-1] == "900 hops, never"


def test_the_reasons_are_told() -> None:
    told = " ".join(tables.remarks([row(verdict="noisy"), FAILED], ""))
    assert "litert step, 1 thread: noisy: it is quiet." in told
    assert "it <could> not be loaded" in told
    assert ".." not in " ".join(tables.remarks([replace(FAILED, why="It is gone; export it again.")], ""))
    unpaced = " ".join(tables.remarks([replace(ROW, unpaced=replace(PHASE, verdict="throttled", why="hot"))], ""))
    assert "unpaced: throttled: hot." in unpaced


def test_operators_energy_and_sensors() -> None:
    told = " ".join(tables.remarks([ROW, replace(ROW, engine="onnxruntime", ops_us={"Conv": 30.0, "Add": 10.0})], ""))
    assert "Conv 75%, Add 25%" in told
    assert "not told by litert." in told
    assert "not measurable here" in told
    assert "Temperature: 50.0 °C at the start, 61.0 at most." in told
    assert "Clock: 1500 to 1800 MHz." in told
    assert "Throttling: none that this machine tells of." in told
    told = " ".join(tables.remarks([replace(ROW, energy=ENERGY)], "VDD_IN"))
    assert "0.110 mJ a decision" in told
    assert "VDD_IN" in told
    assert "not measurable" not in told


def test_a_machine_that_tells_nothing_is_no_cool_one() -> None:
    silent = replace(PHASE, conditions=Conditions())
    told = " ".join(tables.remarks([replace(ROW, paced=silent, unpaced=silent)], ""))
    assert "Temperature: not measurable here. Clock: not measurable here." in told
    hot = replace(PHASE, conditions=Conditions(throttled=("heat lowers the clock",)))
    assert "Throttling: heat lowers the clock." in " ".join(tables.remarks([replace(ROW, paced=hot)], ""))
    assert "Temperature" not in " ".join(tables.remarks([FAILED], ""))


def test_all_of_it_fits_a_terminal_and_is_no_markup() -> None:
    text = printed([ROW, row("onnxruntime", "window", 2, cpu_share=0.01), FAILED])
    assert "<board>" in text
    assert "Recommended: litert, step, threads: 1: it takes 0.20% of a core" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "Nothing is recommended: no combination" in printed([FAILED])
