"""The windows of an epoch, and their frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from edge_res.clips import shaping
from edge_res.clips.manifest import SILENCE, UNKNOWN
from edge_res.clips.splits import Clip, Split
from edge_res.export.datasets import augment
from edge_res.export.datasets.augment import Scene
from edge_res.export.datasets.dataset import DataSet
from edge_res.flow import Frames, Samples
from edge_res.signal.frontend import FrontEndParams, compute_frames

Kind = Literal["words", "stretches"]  # short sounds placed in background · any part of a recording


@dataclass(frozen=True)
class Example:
    """One window to make: a whole word, a part of a word (`_unknown_`), a stretch, or background (`clip` is None).

    `at` is where a stretch begins that is used unvaried; without it, the stretch is drawn at random and varied.
    """

    label: str
    clip: Clip | None
    part: bool = False
    at: int | None = None


def training_examples(rng: np.random.Generator, clips: Sequence[Clip], labels: Sequence[str]) -> list[Example]:
    """An epoch: every clip of the keywords, and other windows in multiples of the clips per keyword.

    These are up to 2 times as many of other words, 1 of parts of words and 1.5 of background. No other word gets more
    than a fifth of a keyword's number, so that frequent words do not drown out the rest.
    """
    words = [clip for clip in clips if clip.entry.label != UNKNOWN]
    share = max(1, len(words) // max(1, len(set(labels) - {UNKNOWN, SILENCE})))
    examples = [Example(clip.entry.label, clip) for clip in words]
    if UNKNOWN in labels:
        others = rarest(rng, [clip for clip in clips if clip.entry.label == UNKNOWN], max(1, share // 5))
        examples += [Example(UNKNOWN, clip) for clip in others[: 2 * share]]
        examples += [Example(UNKNOWN, clips[i], part=True) for i in rng.integers(0, len(clips), share)]
    if SILENCE in labels:
        examples += [Example(SILENCE, None)] * (3 * share // 2)
    return [examples[i] for i in rng.permutation(len(examples))]


def rarest(rng: np.random.Generator, clips: Sequence[Clip], most: int) -> list[Clip]:
    """The clips in random order, at most `most` per word; clips labelled only `_unknown_` are not limited."""
    kept: list[Clip] = []
    counts: Counter[str] = Counter()
    for i in rng.permutation(len(clips)):
        word = clips[i].original_label
        counts[word] += 1
        if word == UNKNOWN or counts[word] <= most:
            kept.append(clips[i])
    return [kept[i] for i in rng.permutation(len(kept))]


def validation_examples(clips: Sequence[Clip], labels: Sequence[str]) -> list[Example]:
    """Every validation clip of a keyword, and as many other words and background stretches as a keyword has clips."""
    words = sorted((c for c in clips if c.entry.label != UNKNOWN), key=lambda c: c.sha256)
    share = max(1, round(len(words) / max(1, len(set(labels) - {UNKNOWN, SILENCE}))))
    examples = [Example(clip.entry.label, clip) for clip in words]
    if UNKNOWN in labels:
        others = sorted((c for c in clips if c.entry.label == UNKNOWN), key=lambda c: c.sha256)
        examples += [Example(UNKNOWN, clip) for clip in others[:share]]
    if SILENCE in labels:
        examples += [Example(SILENCE, None)] * share
    return examples


def training_stretches(rng: np.random.Generator, clips: Sequence[Clip], samples: int) -> list[Example]:
    """An epoch: as many stretches of each recording as it has windows of `samples`, at least one."""
    examples = [Example(c.entry.label, c) for c in clips for _ in range(max(1, len(c) // samples))]
    return [examples[i] for i in rng.permutation(len(examples))]


def validation_stretches(clips: Sequence[Clip], samples: int) -> list[Example]:
    """The windows of each recording one after the other, unvaried; a shorter recording is repeated to fill one."""
    ordered = sorted(clips, key=lambda c: c.sha256)
    starts = [range(0, max(1, len(c) - samples + 1), samples) for c in ordered]
    return [Example(c.entry.label, c, at=at) for c, places in zip(ordered, starts, strict=True) for at in places]


def make_window(
    rng: np.random.Generator, kind: Kind, scene: Scene, example: Example, clips: Sequence[Clip], noise: Sequence[Clip]
) -> Samples:
    """The samples `(samples, channels)` of an example, the same for the same state of the generator."""
    recordings = [clip.samples for clip in noise]
    if example.clip is None:
        return augment.silent_window(rng, scene, recordings)
    samples = example.clip.samples
    if example.at is not None:
        return shaping.repeated(samples[example.at :], scene.samples)
    if kind == "stretches":
        return augment.stretch_window(rng, scene, samples, recordings)
    if example.part:
        return augment.part_window(rng, scene, samples, recordings)
    preceded = rng.random() < scene.vary.preceded
    other = clips[int(rng.integers(len(clips)))].samples if preceded else None
    return augment.word_window(rng, scene, samples, recordings, other)


class Windows(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Examples as `(channels, frames, bins)` images; example i depends only on i and `seed`, which includes the epoch.

    With `varied`, frequencies are warped and masks set.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        labels: Sequence[str],
        clips: Sequence[Clip],
        noise: Sequence[Clip],
        kind: Kind,
        scene: Scene,
        params: FrontEndParams,
        seed: tuple[int, ...],
        varied: bool,
    ) -> None:
        self.examples = examples
        self.labels = {label: i for i, label in enumerate(labels)}
        self.clips = clips
        self.noise = noise
        self.kind = kind
        self.scene = scene
        self.params = params
        self.seed = seed
        self.varied = varied

    def __len__(self) -> int:
        return len(self.examples)

    def samples(self, index: int) -> Samples:
        """The samples of one example, `(samples, channels)`."""
        return self._made(np.random.default_rng((*self.seed, index)), index)

    def _made(self, rng: np.random.Generator, index: int) -> Samples:
        return make_window(rng, self.kind, self.scene, self.examples[index], self.clips, self.noise)

    def frames(self, index: int) -> Frames:
        """The frames of one example, `(frames, bins, channels)`."""
        rng = np.random.default_rng((*self.seed, index))
        samples = self._made(rng, index)
        if not self.varied:
            return compute_frames(self.params, samples)
        vary = self.scene.vary
        frames = compute_frames(warped(rng, self.params, vary.warp) if vary.warp else self.params, samples)
        return augment.mask(rng, frames, vary.time_mask, vary.frequency_mask)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = np.ascontiguousarray(self.frames(index).transpose(2, 0, 1))
        return torch.from_numpy(image), self.labels[self.examples[index].label]

    def targets(self) -> NDArray[np.int64]:
        """The index of each example's label."""
        return np.array([self.labels[example.label] for example in self.examples], np.int64)


def warped(rng: np.random.Generator, params: FrontEndParams, warp: float) -> FrontEndParams:
    """The front-end with its mel bands moved by up to `warp`, as if the speaker's vocal tract had another length."""
    factor = float(rng.uniform(1 - warp, 1 + warp))
    high_hz = min(params.high_hz * factor, params.sample_rate_hz / 2)
    return replace(params, low_hz=params.low_hz * factor, high_hz=high_hz)


def training_windows(
    loaded: DataSet, labels: Sequence[str], kind: Kind, scene: Scene, params: FrontEndParams, seed: tuple[int, ...]
) -> Windows:
    """The windows of one epoch, which is part of `seed`."""
    clips, noise = loaded.of("train")
    rng = np.random.default_rng(seed)
    if kind == "words":
        examples = training_examples(rng, clips, labels)
    else:
        examples = training_stretches(rng, clips, scene.samples)
    return Windows(examples, labels, clips, noise, kind, scene, params, seed, varied=True)


def plain_windows(
    loaded: DataSet,
    split: Split,
    labels: Sequence[str],
    kind: Kind,
    scene: Scene,
    params: FrontEndParams,
    seed: tuple[int, ...],
) -> Windows:
    """The windows of a split to measure on: words at their own speed, stretches unvaried."""
    clips, noise = loaded.of(split)
    examples = validation_examples(clips, labels) if kind == "words" else validation_stretches(clips, scene.samples)
    plain = replace(scene, vary=replace(scene.vary, speed=0.0, clean=0.0))
    return Windows(examples, labels, clips, noise, kind, plain, params, seed, varied=False)
