"""Several runs of one combination."""

from __future__ import annotations

from dataclasses import replace

from edge_res.commands.profile_here import together_judged
from edge_res.profiling.judge import Conditions
from edge_res.profiling.rows import agreeing, together
from tests.profiling.rows import FAILED, row


def test_two_stable_runs_that_agree_are_believed() -> None:
    runs = [row(p50_us=100.0), row(p50_us=104.0)]
    assert agreeing(runs)
    found = together(runs)
    assert (found.verdict, found.attempts, found.p50s_us) == ("stable", 2, (100.0, 104.0))


def test_they_need_not_follow_each_other() -> None:
    assert agreeing([row(p50_us=100.0), row(p50_us=150.0, verdict="noisy"), row(p50_us=98.0)])
    assert agreeing([row(p50_us=100.0), row(p50_us=120.0), row(p50_us=98.0)])


def test_runs_that_disagree_are_noise_however_stable_each_is() -> None:
    runs = [row(p50_us=100.0), row(p50_us=110.0), row(p50_us=130.0)]
    assert not agreeing(runs)
    found = together(runs)
    assert found.verdict == "noisy"
    assert "100, 110, 130 µs" in found.why


def test_two_that_agree_are_not_believed_if_a_third_was_faster() -> None:
    runs = [row(p50_us=674.0), row(p50_us=734.0), row(p50_us=721.0)]
    assert not agreeing(runs)
    assert together(runs).verdict == "noisy"
    assert agreeing([*runs, row(p50_us=670.0)])


def test_runs_that_disagree_stay_noise_in_the_final_verdict() -> None:
    steady = [replace(row(p50_us=us, conditions=Conditions()), hops_us=(us,) * 100) for us in (713.0, 667.0)]
    (found,) = together_judged([steady], 90.0)
    assert found.verdict == "noisy"
    assert "713, 667 µs" in found.why


def test_one_stable_run_of_several_is_not_enough() -> None:
    for runs in ([row(p50_us=100.0), row(verdict="noisy")], [row(verdict="noisy"), row(p50_us=100.0)]):
        assert not agreeing(runs)
        assert together(runs).verdict == "noisy"
        assert together(runs).why.startswith("1 of 2 runs was stable (p50 100 µs)")


def test_a_single_run_is_judged_by_itself_and_a_failure_stays_one() -> None:
    assert not agreeing([row()])
    assert together([row()]).verdict == "stable"
    assert together([row(verdict="drifting")]).verdict == "drifting"
    assert together([row(verdict="noisy"), row(verdict="throttled")]).verdict == "throttled"
    assert together([row(), FAILED]).verdict == "failed"
