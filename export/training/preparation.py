"""A data set prepared for training: labels, a normalised front-end, and the windows of each epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_res.clips.manifest import NOISE, SILENCE, UNKNOWN, read_entries
from edge_res.clips.recordings import summarize_left_out
from edge_res.errors import DataError
from edge_res.export.datasets.augment import Scene
from edge_res.export.datasets.dataset import DataSet
from edge_res.export.datasets.windows import Windows, plain_windows, training_windows
from edge_res.export.training.runs import load_data, network_of
from edge_res.export.training.settings import TrainSettings
from edge_res.signal.frontend import FrontEndParams

_NORMALISATION_WINDOWS = 400


@dataclass(frozen=True)
class Prepared:
    """A data set prepared for training: labels, the normalised front-end, and how windows are made."""

    loaded: DataSet
    labels: tuple[str, ...]
    params: FrontEndParams
    scene: Scene

    def epoch(self, settings: TrainSettings, epoch: int) -> Windows:
        """The training windows of an epoch."""
        seed = (settings.seed, 1, epoch)
        return training_windows(self.loaded, self.labels, settings.windows, self.scene, self.params, seed)

    def validation(self, settings: TrainSettings) -> Windows:
        """The windows to validate on."""
        seed = (settings.seed, 2)
        return plain_windows(self.loaded, "validation", self.labels, settings.windows, self.scene, self.params, seed)


def prepare(data: Path, settings: TrainSettings, say: Callable[[str], None]) -> Prepared:
    """Read the data and measure the normalisation of its frames."""
    params = settings.front_end.params()
    words = settings.labels or default_labels(data, settings)
    network_of(settings, params, len(words) + 2)  # refuses a window that does not fit, before all data is read
    loaded = load_data(data, words, settings)
    for sentence in (*(f"left out: {what}" for what in summarize_left_out(loaded.left_out)), *loaded.notes):
        say(sentence)
    labels = (*words, *background_labels(loaded, settings))
    if len(labels) < 2:
        raise DataError(
            f"All clips in {data} are {''.join(labels) or 'background'}, so there is nothing to tell apart; add clips "
            "of another label, or recordings labelled noise."
        )
    scene = Scene(params.sample_rate_hz, params.samples_of(settings.frames), params.channels, settings.vary)
    params = normalised(Prepared(loaded, labels, params, scene), settings)
    say(f"{len(loaded.of('train')[0])} clips to train on, {len(loaded.of('validation')[0])} to validate on, "
        f"{len(labels)} labels")  # fmt: skip
    if loaded.same_session:
        say(f"same session: {', '.join(loaded.same_session)} are split by time, training before validation")
    if settings.windows == "words" and (long := sum(len(clip) > 2 * scene.samples for clip in loaded.clips)):
        window_s = scene.samples / scene.rate_hz
        say(
            f"{long} of {len(loaded.clips)} clips are longer than two windows of {window_s:.2f} s, and only the middle "
            "of each is learned; --windows stretches uses them whole"
        )
    return Prepared(loaded, labels, params, scene)


def default_labels(data: Path, settings: TrainSettings) -> tuple[str, ...]:
    """All labels of the data except those of the background."""
    entries, _ = read_entries(data, settings.sets, settings.splits.group_pattern, need_groups=False)
    return tuple(sorted({e.label for e in entries} - {NOISE, SILENCE, UNKNOWN}))


def background_labels(loaded: DataSet, settings: TrainSettings) -> tuple[str, ...]:
    """`_silence_` if words have background, `_unknown_` if there are clips of other labels."""
    silence = (SILENCE,) if loaded.noise and settings.windows == "words" else ()
    unknown = any(clip.entry.label == UNKNOWN for clip in loaded.clips)
    return (*silence, UNKNOWN) if unknown else silence


def normalised(prepared: Prepared, settings: TrainSettings) -> FrontEndParams:
    """The front-end with a mean per bin and one gain for all bins, measured on training windows."""
    seed = (settings.seed, 0)
    windows = training_windows(
        prepared.loaded, prepared.labels, settings.windows, prepared.scene, prepared.params, seed
    )
    windows.varied = False
    count = min(len(windows), _NORMALISATION_WINDOWS)
    frames = np.stack([windows.frames(i) for i in range(count)]).astype(np.float64)
    mean = frames.mean((0, 1, 3))
    gain = 1 / max(float(frames.std()), 1e-6)
    bins = prepared.params.bins
    return replace(prepared.params, mean=tuple(mean.round(4).tolist()), gain=(round(gain, 5),) * bins)
