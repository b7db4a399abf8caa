"""A stream of validation words in validation noise, and its scores, to tune thresholds and delay on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_res.clips import shaping
from edge_res.clips.splits import Clip
from edge_res.evaluation.tuning import SpokenWord
from edge_res.export.datasets import augment
from edge_res.flow import Frames, Samples, Scores
from edge_res.model.models import Model
from edge_res.signal.frontend import FrontEndParams

_SPACING_S = (1.2, 2.6)  # from one word's end to the next one's onset
_SNR_DB = (5.0, 30.0)


def make_stream(
    seed: int, rate_hz: int, clips: Sequence[Clip], noise: Sequence[Clip]
) -> tuple[Samples, list[SpokenWord]]:
    """Every clip once in random order, over background, and the words with their onsets."""
    rng = np.random.default_rng((seed, 3))
    recordings = [clip.samples for clip in noise]
    pieces: list[Samples] = []
    spoken = []
    at = 0
    for i in rng.permutation(len(clips)):
        clip = clips[i].samples
        start, stop = shaping.active_region(clip, rate_hz)
        lead = round(rng.uniform(*_SPACING_S) * rate_hz)
        level = np.float32(shaping.from_db(rng.uniform(-35, -18)))
        piece = augment.background(rng, recordings, lead + stop - start, clip.shape[1]) * level
        piece *= np.float32(shaping.from_db(-rng.uniform(*_SNR_DB)))
        word = shaping.faded(clip[start:stop], rate_hz) * (level / np.float32(shaping.rms(clip[start:stop])))
        shaping.add_at(piece, word, lead)
        spoken.append(SpokenWord(clips[i].entry.label, (at + lead) / rate_hz))
        pieces.append(shaping.faded(piece, rate_hz))
        at += len(piece)
    return np.concatenate(pieces), spoken


def score_stream(params: FrontEndParams, hop: int, model: Model, frames: Frames) -> list[Scores]:
    """The scores of a whole stream of frames, a hop at a time."""
    model.reset()
    scores = []
    for end in range(hop, len(frames) + 1, hop):
        values = model.push(frames[end - hop : end])
        if values is not None:
            scores.append(Scores(params.samples_of(end) / params.sample_rate_hz, values))
    return scores
