"""What is shown to the network in an epoch: which windows there are, and their frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from edge_res.export import augment
from edge_res.export.data import SILENCE, UNKNOWN, Clip
from edge_res.flow import Frames
from edge_res.frontend import FrontEndParams, compute_frames


@dataclass(frozen=True)
class Example:
    """One window to be made: a whole word, a part of a word (`_unknown_`), or background (`clip` is None)."""

    label: str
    clip: Clip | None
    part: bool = False


def training_examples(rng: np.random.Generator, clips: Sequence[Clip], labels: Sequence[str]) -> list[Example]:
    """An epoch: every clip of a keyword, about twice a keyword's share of other words, of parts and of background."""
    words = [clip for clip in clips if clip.entry.label != UNKNOWN]
    share = max(1, len(words) // max(1, len(set(labels) - {UNKNOWN, SILENCE})))
    examples = [Example(clip.entry.label, clip) for clip in words]
    if UNKNOWN in labels:
        others = [clip for clip in clips if clip.entry.label == UNKNOWN]
        examples += [Example(UNKNOWN, others[i]) for i in rng.permutation(len(others))[: 2 * share]]
        examples += [Example(UNKNOWN, clips[i], part=True) for i in rng.integers(0, len(clips), share)]
    if SILENCE in labels:
        examples += [Example(SILENCE, None)] * (3 * share // 2)
    return [examples[i] for i in rng.permutation(len(examples))]


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


def make_window(
    rng: np.random.Generator, scene: augment.Scene, example: Example, clips: Sequence[Clip], noise: Sequence[Clip]
) -> NDArray[np.float32]:
    """The samples `(samples,)` of an example: the same for the same generator state."""
    recordings = [clip.samples for clip in noise]
    if example.clip is None:
        return augment.silent_window(rng, scene, recordings)
    if example.part:
        return augment.part_window(rng, scene, example.clip.samples, recordings)
    other = clips[int(rng.integers(len(clips)))].samples if rng.random() < 0.2 else None
    return augment.word_window(rng, scene, example.clip.samples, recordings, other)


class Windows(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Examples as `(channels, frames, bins)` images; example i of epoch e depends on the seed, e and i alone."""

    def __init__(
        self,
        examples: Sequence[Example],
        labels: Sequence[str],
        clips: Sequence[Clip],
        noise: Sequence[Clip],
        scene: augment.Scene,
        params: FrontEndParams,
        seed: tuple[int, ...],
        masked: bool,
    ) -> None:
        self.examples = examples
        self.labels = {label: i for i, label in enumerate(labels)}
        self.clips = clips
        self.noise = noise
        self.scene = scene
        self.params = params
        self.seed = seed
        self.masked = masked

    def __len__(self) -> int:
        return len(self.examples)

    def frames(self, index: int) -> Frames:
        """The frames of one example, `(frames, bins, channels)`."""
        rng = np.random.default_rng((*self.seed, index))
        samples = make_window(rng, self.scene, self.examples[index], self.clips, self.noise)
        frames = compute_frames(self.params, samples[:, None])
        return augment.mask(rng, frames) if self.masked else frames

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = np.ascontiguousarray(self.frames(index).transpose(2, 0, 1))
        return torch.from_numpy(image), self.labels[self.examples[index].label]
