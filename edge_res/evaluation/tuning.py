"""Thresholds and delay, tuned on scores of a stream whose words are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edge_res.decide import Decide
from edge_res.flow import Event, Scores
from edge_res.model.bundle import DecideParams

GRID = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


_LATEST_S = 1.5  # an event belongs to a word when it comes at most this long after the word's onset


_FALSE_COSTS = 3  # a false event weighs as much as this many missed words


@dataclass(frozen=True)
class Tuned:
    """What the stream showed: parameters, the median time from onset to event, and the counts behind them."""

    decide: DecideParams
    delay_s: float
    words: int
    hits: int
    false_events: int
    audio_s: float


@dataclass(frozen=True)
class Said:
    label: str
    onset_s: float


def events_of(scores: Sequence[Scores], params: DecideParams, labels: Sequence[str]) -> list[Event]:
    """The onsets that the parameters make of scores."""
    decider = Decide(params, labels, 0.0, "")
    return [event for one in scores for event in decider.push(one) if event.event == "on"]


def match(events: Sequence[Event], said: Sequence[Said]) -> tuple[list[float], int]:
    """The delays of the events that belong to a word, at most one a word, and how many belong to none."""
    delays = []
    waiting = list(said)
    for event in events:
        word = next((w for w in waiting if w.label == event.label and 0 <= event.at_s - w.onset_s <= _LATEST_S), None)
        if word:
            waiting.remove(word)
            delays.append(event.at_s - word.onset_s)
    return delays, len(events) - len(delays)


def tune(scores: Sequence[Scores], said: Sequence[Said], labels: Sequence[str], background: Sequence[str]) -> Tuned:
    """For each label the threshold with the most words heard and the fewest false events; then the delay."""
    firing = [label for label in labels if label not in background]

    def worth(label: str, threshold: float) -> tuple[int, float]:
        alone = DecideParams({label: threshold}, refractory_s=1.0)
        delays, false = match(events_of(scores, alone, labels), [w for w in said if w.label == label])
        return len(delays) - _FALSE_COSTS * false, threshold  # of equals the higher, which is safer

    params = DecideParams({label: max(GRID, key=lambda t: worth(label, t)) for label in firing}, refractory_s=1.0)
    delays, false = match(events_of(scores, params, labels), said)
    delay_s = round(median(delays), 3) if delays else 0.0
    words = sum(w.label in firing for w in said)
    return Tuned(params, delay_s, words, len(delays), false, scores[-1].at_s)
