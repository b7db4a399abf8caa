"""A stream of validation words in validation noise, and its scores, to tune thresholds and delay on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_res.clips import shaping
from edge_res.clips.splits import Clip
from edge_res.evaluation.tuning import SpokenWord
from edge_res.export.datasets import augment
from edge_res.flow import Samples

_SPACING_S = (1.2, 2.6)  # from one word's end to the next one's onset
_SNR_DB = (5.0, 30.0)


@dataclass(frozen=True)
class WordStream:
    """A long recording, float32 `(samples, channels)`, and the words in it."""

    samples: Samples
    words: list[SpokenWord]


def make_stream(seed: int, rate_hz: int, clips: Sequence[Clip], noise: Sequence[Clip]) -> WordStream:
    """Every clip once in random order, over background, with the onset of each word."""
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
    return WordStream(np.concatenate(pieces), spoken)
