"""Takes: parts of a stream to keep as clips for training, and what makes one useless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edge_res.flow import Block, Health, Samples
from edge_res.signal.level import MOST_CLIPPED_LIVE, clipped_share, decibels


@dataclass(frozen=True, slots=True)
class Progress:
    """After each block: `left_s` of the pause before the next take, or, once that is 0, `taken_s` of the take."""

    peak: float  # of the block
    left_s: float
    taken_s: float


@dataclass(frozen=True, slots=True)
class Take:
    """Float32 `(samples, channels)` from `at` on; `lost` samples are missing, and recording `begins` begins in it."""

    samples: Samples
    at: int
    lost: int = 0
    begins: str = ""


def takes(
    items: Iterable[Block | Health], rate_hz: int, channels: int, seconds: float, pause_s: float
) -> Iterator[Progress | Take | Health]:
    """Takes of `seconds`, each after a pause of `pause_s`, counted in samples; between them, progress and health."""
    length, pause = max(1, round(seconds * rate_hz)), round(pause_s * rate_hz)
    held = np.empty((length, channels), np.float32)
    left, taken, at, lost, begins = pause, 0, 0, 0, ""
    for item in items:
        if isinstance(item, Health):
            yield item
            continue
        if taken:
            lost, begins = lost + item.lost, begins or item.begins
        samples = item.samples
        while len(samples):
            skipped = min(left, len(samples))
            left -= skipped
            samples = samples[skipped:]
            part = samples[: length - taken]
            if len(part) and not taken:
                at = item.at + len(item.samples) - len(samples)
            held[taken : taken + len(part)] = part
            taken += len(part)
            samples = samples[len(part) :]
            if taken == length:
                yield Take(held.copy(), at, lost, begins)
                left, taken, lost, begins = pause, 0, 0, ""
        peak = float(np.abs(item.samples).max(initial=0.0))
        yield Progress(peak, left / rate_hz, taken / rate_hz)


def fault_of(take: Take, audio: bool, quietest_db: float) -> str:
    """Why a take is useless as a clip, as the end of a sentence; empty if it is fine.

    `audio` says whether full scale is ±1; a peak below `quietest_db` re full scale is silence.
    """
    samples = take.samples
    if take.lost:
        return f"{take.lost} samples were lost in it"
    if take.begins:
        return f"it reaches into another recording, {take.begins}"
    if flat := np.flatnonzero(samples.max(axis=0) == samples.min(axis=0)).tolist():
        which = f"its channel {flat[0]}" if samples.shape[1] > 1 else "it"
        return f"{which} is a flat line at {samples[0, flat[0]]:g}; check that it is not muted and that it is wired"
    if not audio:
        return ""
    share = clipped_share(samples)
    if share > MOST_CLIPPED_LIVE:
        return f"it clips, {share:.1%} of its samples are at full scale; turn the gain down or move away"
    peak_db = decibels(float(np.abs(samples).max()))
    if peak_db < quietest_db:
        return (
            f"it is silent, its peak is {peak_db:.0f} dB of full scale; move closer, or allow it with "
            f"--quietest {np.floor(peak_db):.0f}"
        )
    return ""
