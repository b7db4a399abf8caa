"""Accuracy on clips, with the integers that will run: each clip from a reset, padded as in training.

Nothing here needs PyTorch: `edgeres evaluate` runs on the device.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.clips import shaping
from edge_res.clips.manifest import NOISE, SILENCE, SPEAKER_PATTERN, UNKNOWN, Entry, read_entries
from edge_res.clips.recordings import LeftOut, UnusableError, fault_of, read_recordings, summarize_left_out
from edge_res.clips.splits import Splits
from edge_res.config import from_mapping
from edge_res.errors import DataError
from edge_res.evaluation.metrics import measure
from edge_res.evaluation.streams import evaluate_streams, long_recordings
from edge_res.flow import Samples
from edge_res.model.bundle import Manifest
from edge_res.model.ensemble import Chain, merged, push_all


@dataclass(frozen=True)
class Judged:
    """A clip, the index of its label, and the scores `(labels,)` that it was given."""

    entry: Entry
    target: int
    scores: NDArray[np.float32]


def evaluate(
    chains: Sequence[Chain], data: Path, sets: Sequence[str], unseen: bool, tell: Callable[[int, int], None]
) -> tuple[dict[str, Any], list[Judged], list[str]]:
    """What the chains, an ensemble if several, make of a data set's clips.

    With `unseen`, only clips of the groups that validated the models count. Returns the figures of `metrics.measure`,
    each clip with its scores, and sentences on what was left out; if there are long recordings, the figures of
    `streams.evaluate_streams` are the item `stream`. `tell` is called with the files done and their number.
    """
    manifest = merged([chain.manifest for chain in chains])
    entries, _ = read_entries(data, sets, group_pattern_of(manifest), need_groups=False)
    wanted, left_out = known_entries(entries, manifest)
    background = [entry for entry in entries if entry.label == NOISE]
    if unseen:
        if background:
            left_out.append(f"{len(background)} noise recordings, parts of which may have trained the model")
            background = []
        for chain in chains:
            wanted, sentence = unseen_entries(wanted, chain.manifest)
            left_out.append(sentence)
    long = long_recordings([*wanted, *background])
    total = len(wanted) + len(long)
    judged: list[Judged] = []
    unusable: list[LeftOut] = []
    params = manifest.front_end
    for done, entry in enumerate(wanted, 1):
        target = manifest.labels.index(entry.label)
        try:
            recordings = read_recordings(entry, params.sample_rate_hz, params.channels).samples
        except UnusableError as error:
            unusable.append(LeftOut(entry.path, error.why))
            continue
        for samples in recordings:
            if not len(samples) or not np.isfinite(samples).all():
                unusable.append(LeftOut(entry.path, fault_of(samples) or ""))
            else:
                judged.append(Judged(entry, target, score_clip(chains, manifest, samples)))
        tell(done, total)
    stream, errors = evaluate_streams(chains, manifest, long, lambda done: tell(len(wanted) + done, total))
    left_out += summarize_left_out([*unusable, *(LeftOut(error.path, error.why) for error in errors)])
    if not judged and not stream["recordings"]:
        raise DataError(
            f"There are no clips in {data} that {manifest.name} can be evaluated on: {'; '.join(left_out)}."
        )
    found = np.array([one.scores.argmax() for one in judged], int)
    targets = np.array([one.target for one in judged], int)
    groups = [one.entry.group for one in judged]
    metrics = measure(found, targets, manifest.labels, groups if any(groups) else ())
    return {**metrics, "stream": stream} if stream["recordings"] else metrics, judged, left_out


def known_entries(entries: Sequence[Entry], manifest: Manifest) -> tuple[list[Entry], list[str]]:
    """The entries whose labels the model knows; other labels become `_unknown_` if it has that."""
    left_out = []
    wanted = []
    for label, count in sorted(Counter(entry.label for entry in entries).items()):
        if label in manifest.labels:
            wanted += [entry for entry in entries if entry.label == label]
        elif label == NOISE:
            continue  # listened to as a whole
        elif UNKNOWN in manifest.labels:
            wanted += [replace(entry, label=UNKNOWN) for entry in entries if entry.label == label]
        else:
            left_out.append(f"{count} recordings labelled {label}, which is not a label of {manifest.name}")
    return wanted, left_out


def unseen_entries(entries: Sequence[Entry], manifest: Manifest) -> tuple[list[Entry], str]:
    """The entries of the groups that a model's training kept for validation, and how many others there are.

    Clips of `_silence_` are not among them: they are mostly cut from recordings of noise, which are split by time.
    """
    settings = settings_of(manifest)
    if "splits" not in settings:
        raise DataError(f"{manifest.name} does not state which groups it was trained on; evaluate it without --unseen.")
    splits: Splits = from_mapping(Splits, settings["splits"], f"The bundle {manifest.name}")
    kept = [
        entry
        for entry in entries
        if entry.label != SILENCE
        and not splits.is_by_time(entry.label)
        and splits.split_of(entry.group, settings["seed"]) == "validation"
    ]
    return kept, f"{len(entries) - len(kept)} clips of groups that {manifest.name} was not validated on"


def score_clip(chains: Sequence[Chain], manifest: Manifest, samples: Samples) -> NDArray[np.float32]:
    """The scores `(labels,)` of one clip.

    A clip that is longer than the window is scored hop by hop: of recordings the mean counts, of words the hop in which
    one of them scores highest.
    """
    words = padding_of(manifest) == "words"
    window = manifest.front_end.samples_of(manifest.frames)
    samples = placed(manifest, samples, window) if words else shaping.repeated(samples, max(window, len(samples)))
    for chain in chains:
        chain.reset()
    scores = np.stack([value for value in push_all(chains, samples) if value is not None])
    if not words:
        mean: NDArray[np.float32] = scores.mean(0, dtype=np.float32)
        return mean
    firing = [i for i, label in enumerate(manifest.labels) if label not in manifest.background]
    best: NDArray[np.float32] = scores[scores[:, firing].max(1).argmax()] if firing else scores[-1]
    return best


def group_pattern_of(manifest: Manifest) -> str:
    """The pattern by which the model's training found groups in file names."""
    splits = settings_of(manifest).get("splits", {})
    return str(splits.get("group_pattern", SPEAKER_PATTERN))


def padding_of(manifest: Manifest) -> str:
    """How the model's training made windows of clips: `words`, or `stretches`."""
    return str(settings_of(manifest).get("windows", "words"))


def settings_of(manifest: Manifest) -> dict[str, Any]:
    """The settings of the model's training; empty if it states none."""
    settings = manifest.training.get("settings", {})
    return settings if isinstance(settings, dict) else {}


def placed(manifest: Manifest, samples: Samples, window: int) -> Samples:
    """A clip in the middle of as many samples as whole hops need, faded into noise like its own quietest tenth second.

    Noise of another spectrum, or a hard edge, would be a sound that begins and ends.
    """
    params = manifest.front_end
    hop = manifest.hop * params.hop_length
    length = window + math.ceil(max(0, len(samples) - window) / hop) * hop
    if length == len(samples):
        return samples
    out = noise_like(quietest(samples, params.sample_rate_hz // 10), length)
    at = (length - len(samples)) // 2
    here = slice(at, at + len(samples))
    gain = shaping.faded(np.ones_like(samples), params.sample_rate_hz)
    out[here] = out[here] * (1 - gain) + samples * gain
    return out


def quietest(samples: Samples, count: int) -> Samples:
    """The `count` samples in a row with the least power, or all if there are fewer."""
    power = np.concatenate([[0.0], np.square(samples, dtype=np.float64).mean(1).cumsum()])
    count = max(1, min(count, len(samples)))
    at = int((power[count:] - power[:-count]).argmin())
    return samples[at : at + count]


def noise_like(sound: Samples, length: int) -> Samples:
    """Gaussian noise `(length, channels)` with the power and the spectrum of a sound, each frequency from three bins.

    The same at each call.
    """
    sound = sound - sound.mean(0)
    power = np.square(np.abs(np.fft.rfft(sound * np.hanning(len(sound))[:, None], axis=0)))
    power = (power + np.roll(power, 1, 0) + np.roll(power, -1, 0)) / 3
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal((length, sound.shape[1])), axis=0)
    at = np.linspace(0, len(power) - 1, len(spectrum))
    shape = [np.interp(at, np.arange(len(power)), np.sqrt(power[:, i])) for i in range(sound.shape[1])]
    noise = np.fft.irfft(spectrum * np.stack(shape, 1), length, axis=0).astype(np.float32)
    return shaping.scaled(shaping.levelled(noise), shaping.rms(sound))


def worst(judged: Sequence[Judged], count: int) -> Iterator[Judged]:
    """The clips whose own label scored lowest."""
    yield from sorted(judged, key=lambda one: float(one.scores[one.target]))[:count]
