"""A bundle at work: samples in, scores a hop out. Several bundles side by side are an ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_res.engines import RunnerClass
from edge_res.errors import ConfigError
from edge_res.flow import Samples
from edge_res.model.bundle import Bundle, DecideParams, Manifest, read_bundle
from edge_res.model.models import Model, StepModel, WindowModel, load_model
from edge_res.signal.frontend import FrontEnd


class Chain:
    """The front-end and the model of one bundle."""

    def __init__(self, manifest: Manifest, model: Model) -> None:
        self.manifest = manifest
        self.front_end = FrontEnd(manifest.front_end, manifest.hop)
        self.model = model

    def reset(self) -> None:
        """Start a new stream: no score until the window is full again."""
        self.front_end.reset()
        self.model.reset()

    def push(self, samples: Samples) -> Iterator[NDArray[np.float32] | None]:
        """For each hop that float32 `(samples, channels)` complete, scores `(labels,)`, or None: not ready yet."""
        for frames in list(self.front_end.push(samples)):  # all of them first: each code stays in the processor's cache
            yield self.model.push(frames)  # a group of the front-end is a hop


def push_all(chains: Sequence[Chain], samples: Samples) -> Iterator[NDArray[np.float32] | None]:
    """The mean of the chains' scores, for each hop that samples complete; None until all have scores."""
    if len(chains) == 1:
        yield from chains[0].push(samples)
        return
    for values in zip(*(chain.push(samples) for chain in chains), strict=True):
        seen = [value for value in values if value is not None]
        yield np.mean(seen, axis=0, dtype=np.float32) if len(seen) == len(values) else None


@dataclass(frozen=True)
class Ensemble:
    """One bundle, or several whose scores are averaged; `manifest` is what they have in common, see `merged`."""

    bundles: tuple[Bundle, ...]
    manifest: Manifest

    def load(self, engine: RunnerClass, mode: str | None = None, threads: int = 1) -> list[StepModel | WindowModel]:
        """The model of each bundle, in an engine."""
        return [load_model(bundle, engine, mode, threads) for bundle in self.bundles]

    def chains(self, models: Sequence[Model]) -> list[Chain]:
        """Each bundle with its model, for one stream."""
        return [Chain(bundle.manifest, model) for bundle, model in zip(self.bundles, models, strict=True)]


def read_ensemble(names: str) -> Ensemble:
    """The bundle, or of `A+B+…` the bundles, checked; raises `ModelError`, and `ConfigError` if they do not fit."""
    bundles = tuple(read_bundle(name) for name in bundle_names(names))
    return Ensemble(bundles, merged([bundle.manifest for bundle in bundles]))


def bundle_names(names: str) -> list[str]:
    """Of `A+B+…` the bundles, or the one that is named; a file whose name has a + is one."""
    return [names] if Path(names).exists() else names.split("+")


def merged(manifests: Sequence[Manifest]) -> Manifest:
    """What the models of an ensemble have in common; bundles that cannot decide together are a `ConfigError`.

    Its name lists them, its thresholds are their mean, its delay and window the longest.
    """
    first = manifests[0]
    if len(manifests) == 1:
        return first
    for other in manifests[1:]:
        ours, theirs = first.front_end, other.front_end
        for what, one, two in (
            ("labels", first.labels, other.labels),
            ("background labels", first.background, other.background),
            ("sample rate", ours.sample_rate_hz, theirs.sample_rate_hz),
            ("channels", ours.channels, theirs.channels),
            ("win_length", ours.win_length, theirs.win_length),
            ("hop_length", ours.hop_length, theirs.hop_length),
            ("hop", first.hop, other.hop),
        ):
            if one != two:
                raise ConfigError(
                    f"{first.name} and {other.name} cannot be an ensemble: their {what} are {one} and {two}, and must "
                    "be the same."
                )
    means = {
        label: sum(m.decide.thresholds[label] for m in manifests) / len(manifests) for label in first.decide.thresholds
    }
    decide: DecideParams = replace(first.decide, thresholds=means)
    return replace(
        first,
        name=" + ".join(manifest.name for manifest in manifests),
        decide=decide,
        frames=max(manifest.frames for manifest in manifests),
        delay_s=max(manifest.delay_s for manifest in manifests),
    )
