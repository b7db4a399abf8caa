"""Models that are ready to listen, and streams for samples of your own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_res.decide import with_thresholds
from edge_res.devices import find_device, stay_on
from edge_res.devices.files import DeviceFile, devices_of_family, left_out
from edge_res.devices.machine import machine_name
from edge_res.engines import RunnerClass, load_engine
from edge_res.errors import ConfigError, EngineError, SignalError
from edge_res.flow import Block, Event, Samples, Scores, Signal
from edge_res.loop import Stream
from edge_res.measured import key_of, saved_settings, user_config
from edge_res.model.bundle import Manifest
from edge_res.model.ensemble import Ensemble, read_ensemble
from edge_res.model.models import StepModel, WindowModel, choose_engine
from edge_res.model.verify import prove
from edge_res.sources.checks import check_finite
from edge_res.telling import say

_GENERIC = "generic"
_MOST_THREADS = 256
_HIGHEST_HZ = 10_000_000
_LOG = logging.getLogger("edge_res")


@dataclass(frozen=True)
class Model:
    """A bundle, or an ensemble, loaded into an engine and proved on its golden vectors; `load` makes one.

    `models` are those of the ensemble's bundles; each stream has its own state.
    """

    ensemble: Ensemble
    models: tuple[StepModel | WindowModel, ...]
    threads: int

    @property
    def manifest(self) -> Manifest:
        """All that the bundle states; of an ensemble, what its models have in common."""
        return self.ensemble.manifest

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of `Scores.values`."""
        return self.manifest.labels

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Of each label that can switch on."""
        return self.manifest.decide.thresholds

    @property
    def sample_rate_hz(self) -> int:
        """The rate that the model listens at; streams of other rates are resampled."""
        return self.manifest.front_end.sample_rate_hz

    @property
    def channels(self) -> int:
        return self.manifest.front_end.channels

    @property
    def window_s(self) -> float:
        """Seconds that one decision looks at; the first comes after as many."""
        return self.manifest.front_end.samples_of(self.manifest.frames) / self.sample_rate_hz

    @property
    def hop_s(self) -> float:
        """Seconds between two decisions."""
        return self.manifest.hop * self.manifest.front_end.hop_length / self.sample_rate_hz

    def stream(
        self,
        rate_hz: int | None = None,
        *,
        name: str = "samples",
        unit: str = "",
        thresholds: Mapping[str, float] | None = None,
        start: datetime | None = None,
    ) -> SampleStream:
        """A stream for samples at `rate_hz`, by default the model's rate; as many as you like, each with its own state.

        `name` is the `source` of its events. `unit` is that of the samples, such as ``"g"``; "" is audio, whose full
        scale is ±1. `thresholds` replaces some of the bundle's, ``"*"`` being all. `start` is when the first sample was
        captured, with a time zone; without it events have no `time`.
        """
        check_count("rate_hz", rate_hz, _HIGHEST_HZ)
        if start is not None and start.tzinfo is None:
            raise ConfigError(f"The start of a stream is {start}, without a time zone; give one, such as timezone.utc.")
        manifest = self.manifest
        signal = Signal(name, rate_hz or self.sample_rate_hz, self.channels, unit)
        chains = self.ensemble.chains([model.fork() for model in self.models])
        decide = with_thresholds(manifest.decide, thresholds or {})
        salt = "" if start else uuid4().hex  # without times, only this makes the ids of its events unique
        return SampleStream(signal, Stream(signal, chains, decide, salt), start)


class SampleStream:
    """Samples of your own in, scores and events out, bit for bit those of `edgeres listen`; `Model.stream` makes one.

    >>> import edge_res, numpy as np
    >>> model = edge_res.load("default")
    >>> stream = model.stream(rate_hz=48000)
    >>> for scores in stream.push(np.zeros(2 * 48000, np.float32)):  # two seconds of silence
    ...     events = stream.events(scores)
    >>> model.labels[scores.values.argmax()], events
    ('_silence_', [])
    """

    def __init__(self, signal: Signal, stream: Stream, start: datetime | None) -> None:
        self._signal = signal
        self._stream = stream
        self._start_us = None if start is None else round(1e6 * start.astimezone(timezone.utc).timestamp())

    @property
    def at_s(self) -> float:
        """Seconds of the stream so far, lost ones counted."""
        return self._stream.end / self._signal.rate_hz

    def push(self, samples: ArrayLike) -> list[Scores]:
        """Take the next samples, any number of them; return the scores of each hop that they complete.

        `(samples,)` or `(samples, channels)`, of float32 or float64; integers of 16 or 32 bits are scaled to ±1 where
        the stream is audio, and taken as they are where it has a unit. Nothing is returned until a window is full.
        Raises `SignalError` for other types, other channels, NaN and infinity.
        """
        block = self._block(self._samples(samples))
        for warning in self._stream.level.push(block.samples):
            _LOG.warning("%s", warning)
        self._stream.end += len(block.samples)
        return list(self._stream.push(block))

    def events(self, scores: Scores) -> list[Event]:
        """What switches on or off by these scores; give it all that `push` returns, in their order."""
        return self._stream.decide(scores)

    def gap(self, lost: int) -> list[Event]:
        """`lost` samples are missing before the next ones: return the last events before the gap, and start over."""
        if not isinstance(lost, int | np.integer) or lost < 0:
            raise SignalError(f"{lost!r} samples cannot be missing; give a whole number, 0 or more.")
        events = self._last()
        self._stream.end += lost
        self._stream.reset(self._stream.end)
        return events

    def finish(self) -> list[Event]:
        """The last events: of what the resampler still holds, and "off" of all that is on."""
        return self.gap(0)

    def _last(self) -> list[Event]:
        events = [event for scores in self._stream.flush() for event in self._stream.decide(scores)]
        return events + self._stream.finish()

    def _block(self, samples: Samples) -> Block:
        at, start_us = self._stream.end, self._start_us
        time_us = None if start_us is None else start_us + round(1e6 * at / self._signal.rate_hz)
        return Block(self._signal.name, at, samples, time_us=time_us)

    def _samples(self, given: ArrayLike) -> Samples:
        name, channels = self._signal.name, self._signal.channels
        array: NDArray[Any] = np.asarray(given)
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        if array.ndim == 1:
            array = array[:, np.newaxis]
        if array.ndim != 2 or array.shape[1] != channels:
            raise SignalError(
                f"{name} was given samples of shape {np.shape(given)}; expected is (samples, {channels})"
                f"{' or (samples,)' * (channels == 1)}."
            )
        if array.dtype in (np.int16, np.int32):
            full_scale = 1.0 if self._signal.unit else 1 / -float(np.iinfo(array.dtype).min)
            scaled: Samples = np.multiply(array, np.float32(full_scale), dtype=np.float32)
            return scaled
        if array.dtype not in (np.float32, np.float64):
            raise SignalError(
                f"{name} was given samples of type {array.dtype}; expected is float32, float64, int16 or int32."
            )
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused
            samples = np.ascontiguousarray(array, np.float32)
        check_finite(name, samples, self._stream.end, self._signal.rate_hz)
        return samples


def load(
    model: str | Path = "default",
    *,
    engine: str | None = None,
    mode: str | None = None,
    threads: int | None = None,
    device: str | None = None,
) -> Model:
    """Load a bundle: ``"default"``, ``"tiny"``, a path, or ``"A+B"``, an ensemble.

    `engine` is ``"litert"``, ``"onnxruntime"`` or ``"tflite-runtime"``, `mode` ``"step"`` or ``"window"``. By default
    both, and the number of threads, are what `edgeres profile --save` found on this machine, else those of the device
    file: of `device`, one of `edgeres devices --known` or a TOML file, whose cores the process then stays on.

    Raises `ModelError` for a bundle that cannot be read or computes wrongly here, `EngineError` where no engine is
    installed, and `ConfigError`.

    >>> import edge_res
    >>> edge_res.load("tiny").labels[:3]
    ('yes', 'no', 'up')
    """
    check_count("threads", threads, _MOST_THREADS)
    ensemble = read_ensemble(str(model))
    name = _GENERIC if device is None else device
    found, which = find_device(name)
    chosen = choose(ensemble, found, device is None, engine, mode, threads)
    for sentence in filter(None, (*left_out(devices_of_family(name)), which, stay_on(found.affinity), *chosen.notes)):
        say(sentence)
    models = ensemble.load(chosen.engine, chosen.mode, chosen.threads)
    for bundle, one in zip(ensemble.bundles, models, strict=True):
        prove(bundle, one)
    return Model(ensemble, tuple(models), chosen.threads)


def check_count(name: str, value: int | None, most: int) -> None:
    """Raise a `ConfigError` for a value that is given and is not a whole number from 1 to `most`."""
    if value is not None and (type(value) is not int or not 1 <= value <= most):
        raise ConfigError(f"{name} is {value!r}, expected a whole number from 1 to {most}.")


@dataclass(frozen=True)
class Chosen:
    """Engine, mode (None: the bundle's) and threads, and sentences on where they come from."""

    engine: RunnerClass
    mode: str | None
    threads: int
    notes: Sequence[str]


def choose(
    ensemble: Ensemble,
    device: DeviceFile,
    follow: bool,
    engine: str | None,
    mode: str | None,
    threads: int | None,
) -> Chosen:
    """The user's word, else what was measured here and saved (if `follow`), else the device file's.

    An engine of the user's own word sets aside what was saved: mode and threads were measured with another.
    """
    path = user_config()
    key = key_of(machine_name(), ensemble.bundles)
    saved = saved_settings(key) if follow and engine is None and path.is_file() else None
    notes = []
    if saved is not None:
        try:
            found = f"settings from {path}: {saved.engine}, {saved.mode}, threads: {saved.threads}, measured here"
            return Chosen(load_engine(saved.engine), mode or saved.mode, threads or saved.threads, (found,))
        except EngineError as missing:
            notes.append(
                f"{missing} The settings saved in {path} are therefore not used; run `edgeres profile --save` again."
            )
    loaded, instead = choose_engine(engine, device.engines)
    return Chosen(loaded, mode, threads or device.threads, (*notes, *([instead] if instead else [])))
