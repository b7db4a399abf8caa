"""Models that are ready to use, and streams for your own samples."""

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
    """A bundle, or an ensemble, loaded into an engine and checked against its golden answers; `load` makes one.

    `models` has one entry per bundle of the ensemble. Each stream has its own state.
    """

    ensemble: Ensemble
    models: tuple[StepModel | WindowModel, ...]
    threads: int

    @property
    def manifest(self) -> Manifest:
        """Everything that the bundle states; for an ensemble, what its bundles have in common."""
        return self.ensemble.manifest

    @property
    def name(self) -> str:
        """The name of the bundle."""
        return self.manifest.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of `Scores.values`."""
        return self.manifest.labels

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The threshold of each label that can switch on."""
        return self.manifest.decide.thresholds

    @property
    def sample_rate_hz(self) -> int:
        """The rate that the model listens at; streams of other rates are resampled."""
        return self.manifest.front_end.sample_rate_hz

    @property
    def channels(self) -> int:
        """The number of channels that the model listens to."""
        return self.manifest.front_end.channels

    @property
    def window_s(self) -> float:
        """The length of a window in seconds; the first decision comes after one window."""
        return self.manifest.front_end.samples_of(self.manifest.frames) / self.sample_rate_hz

    @property
    def hop_s(self) -> float:
        """The length of a hop in seconds, from one decision to the next."""
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
        """Make a stream for samples at `rate_hz`, by default the model's rate. A model can have any number of streams.

        `name` is the `source` of the events. `unit` is the unit of the samples, such as ``"g"``; "" means audio, whose
        full scale is ±1. `thresholds` replaces thresholds of the bundle by label; ``"*"`` stands for all labels that
        are not named. `start` is when the first sample was captured, with a time zone; without it, events have no
        `time`.
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
    """Turns your own samples into scores and events, bit for bit as `edgeres listen` does; `Model.stream` makes one.

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
        """The length of the stream so far in seconds, lost samples included."""
        return self._stream.end / self._signal.rate_hz

    def push(self, samples: ArrayLike) -> list[Scores]:
        """Take the next samples, any number of them, and return the scores of each hop that they complete.

        `samples` is `(samples,)` or `(samples, channels)`, float32, float64, int16 or int32. In an audio stream,
        integers are scaled to ±1; in a stream with a unit, they are used as they are. There are no scores until the
        first window is full. Raises `SignalError` for other types, a wrong number of channels, NaN and infinity.
        """
        block = self._block(self._samples(samples))
        for warning in self._stream.level.push(block.samples):
            _LOG.warning("%s", warning)
        self._stream.end += len(block.samples)
        return list(self._stream.push(block))

    def events(self, scores: Scores) -> list[Event]:
        """The events that these scores cause; pass in all scores that `push` returns, in their order."""
        return self._stream.decide(scores)

    def gap(self, lost: int) -> list[Event]:
        """Report that `lost` samples are missing before the next ones; return the last events before the gap.

        The stream then starts afresh: the next scores come after a full window.
        """
        if not isinstance(lost, int | np.integer) or lost < 0:
            raise SignalError(f"{lost!r} samples cannot be missing; give a whole number, 0 or more.")
        events = self._last()
        self._stream.end += lost
        self._stream.reset(self._stream.end)
        return events

    def finish(self) -> list[Event]:
        """Return the last events, including "off" for labels that are on; the stream then starts afresh.

        Samples that the resampler still holds are processed first.
        """
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
    """Load a bundle (``"default"``, ``"tiny"`` or a path) or an ensemble (``"A+B"``).

    `engine` is ``"litert"``, ``"onnxruntime"`` or ``"tflite-runtime"``, and `mode` is ``"step"`` or ``"window"``. By
    default, engine, mode and number of threads are those that `edgeres profile --save` saved on this machine, or else
    those of the generic device file. `device` names another device file, by a name from `edgeres devices --known` or as
    a TOML file; the process then also stays on the cores that the file names.

    Raises `ModelError` for a bundle that cannot be read or does not give its golden answers on this machine,
    `EngineError` if no engine is installed, and `ConfigError` for a wrong argument.

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
