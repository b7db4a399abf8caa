"""Thresholds and delay, measured on a stream of validation words in validation noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from edge_res.bundle import DecideParams
from edge_res.decide import Decide
from edge_res.export.datasets import augment
from edge_res.export.datasets.dataset import Clip
from edge_res.flow import Event, Frames, Samples, Scores
from edge_res.frontend import FrontEndParams
from edge_res.models import Model

GRID = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
_SPACING_S = (1.2, 2.6)  # from one word's end to the next one's onset
_SNR_DB = (5.0, 30.0)
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


def make_stream(seed: int, rate_hz: int, clips: Sequence[Clip], noise: Sequence[Clip]) -> tuple[Samples, list[Said]]:
    """Every clip once over background, in random order, and when each is said."""
    rng = np.random.default_rng((seed, 3))
    recordings = [clip.samples for clip in noise]
    pieces: list[Samples] = []
    said = []
    at = 0
    for i in rng.permutation(len(clips)):
        clip = clips[i].samples
        start, stop = augment.active_region(clip, rate_hz)
        lead = round(rng.uniform(*_SPACING_S) * rate_hz)
        level = np.float32(augment.from_db(rng.uniform(-35, -18)))
        piece = augment.background(rng, recordings, lead + stop - start, clip.shape[1]) * level
        piece *= np.float32(augment.from_db(-rng.uniform(*_SNR_DB)))
        word = augment.faded(clip[start:stop], rate_hz) * (level / np.float32(augment.rms(clip[start:stop])))
        augment.add_at(piece, word, lead)
        said.append(Said(clips[i].entry.label, (at + lead) / rate_hz))
        pieces.append(augment.faded(piece, rate_hz))
        at += len(piece)
    return np.concatenate(pieces), said


def score_stream(params: FrontEndParams, hop: int, model: Model, frames: Frames) -> list[Scores]:
    """The scores of a whole stream of frames, a hop at a time."""
    model.reset()
    scores = []
    for end in range(hop, len(frames) + 1, hop):
        values = model.push(frames[end - hop : end])
        if values is not None:
            scores.append(Scores(params.samples_of(end) / params.sample_rate_hz, values))
    return scores


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
