"""Thresholds and delay, tuned on the scores of a stream whose words are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edge_res.decide import Decide
from edge_res.flow import Event, Scores
from edge_res.model.bundle import DecideParams

GRID = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)  # the thresholds to choose from
_REFRACTORY_S = 1.0
_LATEST_S = 1.5  # an event belongs to a word if it comes at most this long after the word's onset
_FALSE_COSTS = 3  # one false event is as bad as this many missed words


@dataclass(frozen=True)
class SpokenWord:
    """A word in the stream."""

    label: str
    onset_s: float


@dataclass(frozen=True)
class Tuned:
    """The parameters found, the median time from onset to event, and the counts behind them."""

    decide: DecideParams
    delay_s: float
    words: int
    hits: int
    false_events: int
    audio_s: float


def tune(
    scores: Sequence[Scores], spoken: Sequence[SpokenWord], labels: Sequence[str], background: Sequence[str]
) -> Tuned:
    """Choose for each label the threshold with the most hits and fewest false events, then measure the delay."""
    firing = [label for label in labels if label not in background]

    def worth(label: str, threshold: float) -> tuple[int, float]:
        alone = DecideParams({label: threshold}, refractory_s=_REFRACTORY_S)
        delays, false = match(events_of(scores, alone, labels), [word for word in spoken if word.label == label])
        return len(delays) - _FALSE_COSTS * false, threshold  # between equals the higher threshold, which is safer

    thresholds = {label: max(GRID, key=lambda t: worth(label, t)) for label in firing}
    params = DecideParams(thresholds, refractory_s=_REFRACTORY_S)
    delays, false = match(events_of(scores, params, labels), spoken)
    delay_s = round(median(delays), 3) if delays else 0.0
    words = sum(word.label in firing for word in spoken)
    return Tuned(params, delay_s, words, len(delays), false, scores[-1].at_s)


def events_of(scores: Sequence[Scores], params: DecideParams, labels: Sequence[str]) -> list[Event]:
    """The onsets that the parameters make of scores."""
    decider = Decide(params, labels, 0.0, "")
    return [event for one in scores for event in decider.push(one) if event.event == "on"]


def match(events: Sequence[Event], spoken: Sequence[SpokenWord]) -> tuple[list[float], int]:
    """The delays of the events that belong to a word, at most one per word, and the number of other events."""
    delays = []
    waiting = list(spoken)
    for event in events:
        word = next((w for w in waiting if w.label == event.label and 0 <= event.at_s - w.onset_s <= _LATEST_S), None)
        if word:
            waiting.remove(word)
            delays.append(event.at_s - word.onset_s)
    return delays, len(events) - len(delays)
