from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge_res.profiling.reference import best_known_us, cache, keep_best, reference_us
from edge_res.profiling.rows import judged_again, reference_of
from tests.profiling.rows import FAILED, PHASE, ROW


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_it_takes_some_time() -> None:
    assert 1 < reference_us() < 1e6


def test_the_best_is_kept() -> None:
    assert best_known_us() is None
    for us in (60.0, 50.0, 70.0):
        keep_best(us)
    assert best_known_us() == 50.0


def test_another_power_mode_is_another_machine(tmp_path: Path) -> None:
    folder = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_max_freq").write_text("1800000\n")
    keep_best(50.0, tmp_path)
    (folder / "scaling_max_freq").write_text("600000\n")
    assert best_known_us(tmp_path) is None
    keep_best(150.0, tmp_path)
    assert best_known_us(tmp_path) == 150.0
    (folder / "scaling_max_freq").write_text("1800000\n")
    assert best_known_us(tmp_path) == 50.0


@pytest.mark.parametrize("age_s", [8 * 86400, -100])
def test_an_old_time_or_one_from_a_wrong_clock_is_forgotten(age_s: float) -> None:
    keep_best(50.0)
    ((key, _),) = json.loads(cache().read_text()).items()
    cache().write_text(json.dumps({key: [50.0, time.time() - age_s]}))
    assert best_known_us() is None


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff"])
def test_a_damaged_cache_is_ignored(text: str) -> None:
    cache().parent.mkdir()
    cache().write_bytes(text.encode("latin-1"))
    assert best_known_us() is None
    keep_best(60.0)
    assert best_known_us() == 60.0


def test_a_cache_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "edgeres").write_text("in the way")
    keep_best(60.0)
    assert best_known_us() is None


def test_a_row_is_judged_by_the_best_time() -> None:
    slow = replace(PHASE.conditions, clocks_mhz=(), reference_us=90.0)
    quick = replace(slow, reference_us=61.0)
    row = replace(ROW, paced=replace(PHASE, conditions=slow), unpaced=replace(PHASE, conditions=quick))
    assert reference_of(row) == 61.0
    again = judged_again(replace(row, hops_us=(100.0,) * 100), 60.0)
    assert again.paced
    assert again.unpaced
    assert (again.verdict, again.paced.verdict, again.unpaced.verdict) == ("noisy", "noisy", "stable")
    assert again.why == again.paced.why
    assert judged_again(replace(row, hops_us=(100.0,) * 100), 89.0).verdict == "stable"
    assert judged_again(FAILED, 60.0) is FAILED
