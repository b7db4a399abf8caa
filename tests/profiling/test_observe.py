"""Readings from trees of files like those of Linux."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge_res.profiling.observe import Instant, Observer, busy_s, conditions, limits, process_s, stopped
from edge_res.profiling.sensors import NoSensors, Sensed

TICKS_HZ = os.sysconf("SC_CLK_TCK")
STAT = """cpu  1000 200 300 9000 50 10 20 30 40 50
cpu0 500 100 150 4500 25 5 10 15 20 25
intr 1
"""


def write(root: Path, **files: str) -> Path:
    """Write files by path, where `__` stands for a slash and `_dot_` for a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_busy_is_all_but_idle_and_guests_which_count_as_user(tmp_path: Path) -> None:
    assert busy_s(write(tmp_path, proc__stat=STAT)) == (1000 + 200 + 300 + 10 + 20 + 30) / TICKS_HZ


@pytest.mark.parametrize("text", ["", "cpu 1 2\n", "cpu a b c d e f g h\n"])
def test_a_damaged_stat_gives_nothing(tmp_path: Path, text: str) -> None:
    assert busy_s(write(tmp_path, proc__stat=text)) is None


def test_the_time_of_a_process_whatever_its_name(tmp_path: Path) -> None:
    fields = ") R 1) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 12345"
    assert process_s(write(tmp_path, proc__7__stat=f"7 (a {fields}"), 7) == 300 / TICKS_HZ
    assert process_s(tmp_path, 8) == 0


def test_without_a_control_group_there_are_no_limits(tmp_path: Path) -> None:
    assert limits(tmp_path) == {}
    assert stopped(tmp_path) == 0


def test_limits_of_version_1(tmp_path: Path) -> None:
    write(
        tmp_path,
        proc__self__cgroup="4:memory:/small\n1:cpu,cpuacct:/small/inner\n2:name=systemd:/\n",
        **{
            "sys__fs__cgroup__cpu,cpuacct__small__inner__cpu_dot_cfs_quota_us": "50000\n",
            "sys__fs__cgroup__cpu,cpuacct__small__inner__cpu_dot_cfs_period_us": "100000\n",
            "sys__fs__cgroup__cpu,cpuacct__small__cpu_dot_cfs_quota_us": "25000\n",
            "sys__fs__cgroup__cpu,cpuacct__small__cpu_dot_cfs_period_us": "100000\n",
            "sys__fs__cgroup__cpu,cpuacct__small__cpu_dot_stat": "nr_periods 9\nnr_throttled 4\nthrottled_time 5\n",
            "sys__fs__cgroup__memory__small__memory_dot_limit_in_bytes": "536870912\n",
            "sys__fs__cgroup__memory__memory_dot_limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert limits(tmp_path) == {"cores": 0.25, "memory_bytes": 512 << 20}
    assert stopped(tmp_path) == 4


def test_what_version_1_writes_for_no_limit(tmp_path: Path) -> None:
    files = {
        "sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us": "-1\n",
        "sys__fs__cgroup__cpu__cpu_dot_cfs_period_us": "100000\n",
        "sys__fs__cgroup__memory__memory_dot_limit_in_bytes": "9223372036854771712\n",
    }
    assert limits(write(tmp_path, proc__self__cgroup="4:memory:/\n1:cpu:/\n", **files)) == {}


def test_limits_of_version_2(tmp_path: Path) -> None:
    write(
        tmp_path,
        proc__self__cgroup="0::/user.slice/mine\n",
        **{
            "sys__fs__cgroup__user_dot_slice__mine__cpu_dot_max": "150000 100000\n",
            "sys__fs__cgroup__user_dot_slice__mine__memory_dot_max": "max\n",
            "sys__fs__cgroup__user_dot_slice__mine__cpu_dot_stat": "usage_usec 5\nnr_throttled 2\n",
            "sys__fs__cgroup__user_dot_slice__cpu_dot_max": "max 100000\n",
        },
    )
    assert limits(tmp_path) == {"cores": 1.5}
    assert stopped(tmp_path) == 2


def test_what_happened_between_two_looks() -> None:
    seen = [
        Instant(10.0, 100.0, 5.0, 1, Sensed(50.0, 1800.0, (), 2.0)),
        Instant(11.0, 101.5, 5.5, 1, Sensed(60.0, 1700.0, ("too hot",), 3.0)),
        Instant(12.0, 103.0, 6.0, 4, Sensed(55.0, 1600.0, ("too hot",), 4.0)),
    ]
    found = conditions(seen, 0.25)
    assert found.others_cores == 1.0  # 3 s busy in 2 s, of which 1 s is ours
    assert found.wait_share == 0.25
    assert found.stopped == 3
    assert found.throttled == ("too hot",)
    assert list(found.clocks_mhz) == [1800, 1700, 1600]
    assert list(found.temperatures_c) == [50, 60, 55]
    assert found.power_w == 3.5  # a counter's first reading is the mean of the phase before
    assert conditions([replace(one, sensed=seen[0].sensed) for one in seen], 0.25).power_w == 2


def test_this_machine_is_seen() -> None:
    now = Observer(NoSensors()).look([os.getpid()])
    assert now.busy_s is not None
    assert 0 <= now.ours_s <= now.busy_s + 1
