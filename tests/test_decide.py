"""Smoothing, thresholds, hysteresis, refractory time."""

from __future__ import annotations

import numpy as np
import pytest

from edge_res.decide import Decide, Nearest, with_thresholds
from edge_res.errors import ConfigError
from edge_res.flow import Event, Scores
from edge_res.model.bundle import DecideParams

LABELS = ("yes", "no", "_silence_")
PARAMS = DecideParams({"yes": 0.6, "no": 0.8}, smooth_hops=1, release=0.5, refractory_s=0.0)


def decide(params: DecideParams, yes: list[float], no: list[float] | None = None) -> list[Event]:
    """The events of scores that come every 0.1 s from 1.0 s on, with the end of the stream."""
    decider = Decide(params, LABELS, delay_s=0.25, source="test")
    events = []
    for i, value in enumerate(yes):
        other = no[i] if no else 0.0
        values = np.array([value, other, 1 - value - other], np.float32)
        events += decider.push(Scores(round(1.0 + i / 10, 6), values))
    return events + decider.finish()


def told(events: list[Event]) -> list[tuple[str, str, float]]:
    return [(event.event, event.label, event.at_s) for event in events]


def test_an_event_starts_at_the_crossing_less_the_delay_and_ends_where_the_score_falls() -> None:
    on, off = decide(PARAMS, [0.0, 0.6, 0.9, 0.31, 0.29, 0.0])
    assert on == Event("on", "yes", 0.6, start_s=0.85, at_s=1.1, source="test")
    assert off == Event("off", "yes", 0.29, start_s=0.85, at_s=1.4, source="test", end_s=1.15, duration_s=0.3, peak=0.9)


def test_the_label_that_came_nearest_to_its_threshold_is_kept() -> None:
    decider = Decide(PARAMS, LABELS, delay_s=0.25, source="test")
    assert decider.nearest is None
    for i, (yes, no) in enumerate([(0.1, 0.2), (0.55, 0.1), (0.1, 0.7), (0.3, 0.3)]):
        assert decider.push(Scores(1.0 + i, np.array([yes, no, 1 - yes - no], np.float32))) == []
    assert decider.nearest == Nearest("yes", 0.55, 0.6, 2.0)  # 0.92 of it; no came to 0.88


def test_the_end_of_the_stream_closes_what_is_open() -> None:
    assert told(decide(PARAMS, [0.7, 0.9])) == [("on", "yes", 1.0), ("off", "yes", 1.1)]


def test_each_label_has_its_own_threshold() -> None:
    assert told(decide(PARAMS, [0.0, 0.0, 0.0], [0.79, 0.0, 0.0])) == []
    assert told(decide(PARAMS, [0.0, 0.0, 0.0], [0.81, 0.0, 0.0])) == [("on", "no", 1.0), ("off", "no", 1.1)]


def test_background_never_fires() -> None:
    assert decide(PARAMS, [0.0] * 20) == []  # its score is 1 all along


def test_hysteresis_keeps_a_wavering_score_one_event() -> None:
    wavering = [0.7, 0.5, 0.7, 0.4, 0.65, 0.31, 0.7]
    assert told(decide(PARAMS, wavering)) == [("on", "yes", 1.0), ("off", "yes", 1.6)]


def test_refractory_time_counts_from_the_last_onset() -> None:
    again = [0.7, 0.0, 0.7, 0.0, 0.7, 0.0]
    params = DecideParams(PARAMS.thresholds, 1, 0.5, refractory_s=0.4)
    assert told(decide(params, again)) == [
        ("on", "yes", 1.0),
        ("off", "yes", 1.1),
        ("on", "yes", 1.4),
        ("off", "yes", 1.5),
    ]


def test_smoothing_needs_more_than_one_hop_even_at_the_start() -> None:
    params = DecideParams(PARAMS.thresholds, smooth_hops=3, release=0.5, refractory_s=0.0)
    assert decide(params, [1.0, 0.0, 0.0, 0.0]) == []
    assert told(decide(params, [1.0, 1.0, 0.0, 0.0])) == [("on", "yes", 1.1), ("off", "yes", 1.3)]


def test_finish_forgets_the_past() -> None:
    decider = Decide(DecideParams(PARAMS.thresholds, 2, 0.5, 10.0), LABELS, 0.0, "test")
    high = np.array([1, 0, 0], np.float32)
    assert not decider.push(Scores(1.0, high))
    assert [e.event for e in decider.push(Scores(1.1, high))] == ["on"]
    assert [e.event for e in decider.finish()] == ["off"]
    assert not decider.push(Scores(5.0, high))  # smoothed anew
    assert [e.event for e in decider.push(Scores(5.1, high))] == ["on"]  # no refractory time across a gap
    assert decider.finish()
    assert not decider.finish()


def test_thresholds_are_replaced_by_label_and_for_all() -> None:
    assert with_thresholds(PARAMS, {"no": 0.3}).thresholds == {"yes": 0.6, "no": 0.3}
    assert with_thresholds(PARAMS, {"*": 0.9, "no": 0.3}).thresholds == {"yes": 0.9, "no": 0.3}


@pytest.mark.parametrize(
    ("label", "value", "sentence"),
    [
        ("maybe", 0.5, "'maybe', which is not a label that can fire; use one of yes, no"),
        ("_silence_", 0.5, "'_silence_', which is not a label that can fire"),
        ("yes", 0.0, "above 0 and at most 1"),
        ("yes", 1.5, "above 0 and at most 1"),
        ("yes", float("nan"), "above 0 and at most 1"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(label: str, value: float, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        with_thresholds(PARAMS, {label: value})
