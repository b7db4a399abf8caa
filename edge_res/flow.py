"""What flows: Block → Frames → Scores → Event, and beside them Gap and Health, as frozen dataclasses.

Axis 0 is always time. A position (`at`) is an integer sample index into the stream; float seconds appear only in events
and reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]  # (samples, channels), full scale is ±1 for audio, any unit for a sensor
Frames = NDArray[np.float32]  # (frames, bins, channels)


@dataclass(frozen=True, slots=True)
class Signal:
    """What is known of a signal before its first sample comes.

    `unit` is that of its samples, such as "g" or "V", "raw" where it is unknown, and "" of audio: full scale is ±1.
    """

    name: str
    rate_hz: int
    channels: int
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """What a source delivers at once.

    `at` is the index of the first sample in the source's stream, at the source's rate; lost samples are counted
    in it. `lost` samples are missing directly before this block. `samples` may be a view into a buffer that the
    source reuses: it holds until the next block is asked for. `begins` is the name of a recording that begins with this
    block, of a source that plays several: nothing is missing, but what follows does not go on from what was before.
    `time_us` is when the first sample was captured, in microseconds of Unix time; None where that is unknown.
    """

    source: str
    at: int
    samples: Samples
    lost: int = 0
    begins: str = ""
    time_us: int | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """One decision's worth: `values` float32 `(labels,)`, `at_s` the end of the last sample seen."""

    at_s: float
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Event:
    """A label that switches on or off; both have the same `id`, `start_s` and `time`.

    `start_s` is the threshold's crossing less the bundle's stated delay, in seconds of the stream, and `time` the same
    moment in UTC, by the time at which the source captured its samples; None where that is unknown, as of a recording
    that does not state its start. `score` is the smoothed score now. Only "off" has `end_s`, where the score fell again
    (likewise less the delay), `duration_s`, from `start_s` to it, and `peak`, the highest smoothed score between.
    `id` is unique, and the same whenever a session, or a recording by the same name, is heard again.
    """

    event: Literal["on", "off"]
    label: str
    score: float
    start_s: float
    at_s: float
    source: str
    end_s: float | None = None
    duration_s: float | None = None
    peak: float | None = None
    time: datetime | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples that the source lost: `lost` of them, `gap_s` long, ending at `at_s`."""

    lost: int
    gap_s: float
    at_s: float
    source: str


@dataclass(frozen=True, slots=True)
class Health:
    """What a source tells of itself when its state changes; `reason` is a sentence, `at_s` where its stream is.

    healthy: samples come. alarmed: they should and do not. recovering: the source tries to get them back. failed: it
    has given up, or cannot go on. ended: it is over, as a recording is; the loop says so, no source itself.
    """

    source: str
    state: Literal["healthy", "alarmed", "recovering", "failed", "ended"]
    reason: str
    at_s: float
