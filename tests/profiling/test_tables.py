"""Profiles as tables and sentences."""

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
    print_profile(json.loads(json.dumps(report(*rows))), Console(file=out, width=width))  # like one read from a file
    return out.getvalue()


def test_each_row_has_a_line_even_if_it_failed() -> None:
    lines = tables.hops([ROW, FAILED])
    assert lines[0] == ["litert step 1", "100", "150", "200", "300", "0/100", "50", "400", "stable"]
    assert lines[1] == ["onnxruntime step 1", *["–"] * 7, "failed"]
    assert tables.costs([ROW, FAILED]) == [
        ["litert step 1", "0.20%", "0.20%", "0.00120", "58.0 MB", "30 ms", "150 hops"]
    ]
    assert all(len(line) == len(tables.HOPS) for line in lines)
    assert len(tables.costs([ROW])[0]) == len(tables.COSTS)


def test_a_table_without_lines_is_left_out() -> None:
    assert [head for head, _ in tables.all_of([FAILED])] == [tables.HOPS]
    assert len(tables.all_of([ROW, FAILED])) == 3
    assert "per stage" not in printed([FAILED])


def test_the_stages_and_how_well_they_add_up() -> None:
    (line,) = tables.stage_times([ROW, FAILED])
    assert line[-2:] == ["51.0", "50.0"]
    assert len(line) == len(tables.STAGE_TIMES)
    sentence = tables.stages_sentence([ROW, FAILED])
    assert sentence == "Stage times add up to within 2.0% of the total; 16 µs are outside front-end and engine."


def test_a_warm_up_that_never_settled_is_reported() -> None:
    (line,) = tables.costs([replace(ROW, warm_up={"hops": 900, "p50_us": 50.0, "settled": False})])
    assert line[-1] == "900 hops, never"


def test_the_reasons_are_given() -> None:
    text = " ".join(tables.remarks([row(verdict="noisy"), FAILED], ""))
    assert "litert step, 1 thread: noisy: it is quiet." in text
    assert "it <could> not be loaded" in text
    assert ".." not in " ".join(tables.remarks([replace(FAILED, why="It is gone; export it again.")], ""))
    unpaced = " ".join(tables.remarks([replace(ROW, unpaced=replace(PHASE, verdict="throttled", why="hot"))], ""))
    assert "unpaced: throttled: hot." in unpaced


def test_operators_energy_and_sensors() -> None:
    text = " ".join(tables.remarks([ROW, replace(ROW, engine="onnxruntime", ops_us={"Conv": 30.0, "Add": 10.0})], ""))
    assert "Conv 75%, Add 25%" in text
    assert "Per operator: unknown for litert." in text
    assert "Energy per decision: unknown, no power rail can be read here." in text
    assert "Temperature: 50.0 °C at the start, at most 61.0 °C." in text
    assert "Clock: 1500 to 1800 MHz." in text
    assert "Throttling: none reported." in text
    text = " ".join(tables.remarks([replace(ROW, energy=ENERGY)], "VDD_IN"))
    assert "0.110 mJ per decision" in text
    assert "VDD_IN" in text
    assert "unknown, no power rail" not in text


def test_what_is_unknown_is_not_taken_for_cool() -> None:
    silent = replace(PHASE, conditions=Conditions())
    text = " ".join(tables.remarks([replace(ROW, paced=silent, unpaced=silent)], ""))
    assert "Temperature: unknown. Clock: unknown." in text
    hot = replace(PHASE, conditions=Conditions(throttled=("heat lowers the clock",)))
    assert "Throttling: heat lowers the clock." in " ".join(tables.remarks([replace(ROW, paced=hot)], ""))
    assert "Temperature" not in " ".join(tables.remarks([FAILED], ""))


def test_everything_fits_a_terminal_and_is_not_markup() -> None:
    text = printed([ROW, row("onnxruntime", "window", 2, cpu_share=0.01), FAILED])
    assert "<board>" in text
    assert "Recommended: litert, step, threads: 1: it uses 0.20% of a core" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "Nothing is recommended: no combination" in printed([FAILED])
