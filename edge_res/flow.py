"""The data that flows from part to part, as frozen dataclasses: Block → Frames → Scores → Event; also Gap and Health.

Axis 0 is always time. A position (`at`) is an integer index of a sample in the stream; seconds, as floats, appear only
in events and reports.
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
    """What is known about a signal before its first sample arrives.

    `unit` is the unit of its samples, such as "g" or "V", or "raw" if unknown; "" means audio, whose full scale is ±1.
    """

    name: str
    rate_hz: int
    channels: int
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive samples that a source delivers together.

    `at` is the index of the first sample in the source's stream, at the source's rate; lost samples count too.
    `lost` samples are missing directly before this block. `samples` may be a view into a buffer that the source
    reuses; it is valid until the next block is requested. `begins` names the recording that begins with this block, if
    the source plays several: no samples are missing, but this block does not continue the one before. `time_us` is the
    Unix time at which the first sample was captured, in microseconds; None if unknown.
    """

    source: str
    at: int
    samples: Samples
    lost: int = 0
    begins: str = ""
    time_us: int | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one hop: `values`, float32 `(labels,)`, and `at_s`, the end of the last sample used, in seconds."""

    at_s: float
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Event:
    """A label switches on or off. The "on" and the "off" of a sound have the same `id`, `start_s` and `time`.

    `score` is the smoothed score now, and `at_s` the end of the last sample used, in seconds of the stream. `start_s`
    is when the score reached the threshold, minus the delay stated in the bundle. `time` is the same moment in UTC,
    based on when the source captured its samples; None if that is unknown, as for a recording that does not state when
    it began. Only "off" has `end_s`, when the score fell (minus the same delay), `duration_s`, from `start_s` to
    `end_s`, and `peak`, the highest smoothed score in between. `id` is unique, but the same whenever a session, or a
    recording of the same name, is played again.
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
    """Samples that the source lost: `lost` samples, which last `gap_s` seconds and end at `at_s`."""

    lost: int
    gap_s: float
    at_s: float
    source: str


@dataclass(frozen=True, slots=True)
class Health:
    """A change in the state of a source; `reason` is a sentence, `at_s` the position of its stream in seconds.

    healthy: samples arrive. alarmed: samples should arrive but do not. recovering: the source is trying to get them
    back. failed: it has given up, or cannot continue. ended: it is over, as at the end of a recording; only the
    loop sets this state.
    """

    source: str
    state: Literal["healthy", "alarmed", "recovering", "failed", "ended"]
    reason: str
    at_s: float
