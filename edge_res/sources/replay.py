"""Replaying a session: what its sources delivered, and what the model answered then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_res.engines import TensorSpec
from edge_res.errors import ConfigError
from edge_res.flow import Block, Frames, Health
from edge_res.model.models import ModelWithLogits
from edge_res.model.quantization import decode, encode, quantize
from edge_res.session import Record, Session, block_of, health_of
from edge_res.sources import Wanted, refuse_pcm_format
from edge_res.sources.checks import check_any, check_channels, check_given_channels, check_readable


class Replayed:
    """One source of a recorded session: the same blocks, with the gaps between them, and its health.

    By itself it opens the session `text` and is its first source; `open_session` gives all of them.
    """

    def __init__(self, text: str, want: Wanted, session: Session | None = None, place: int = 0) -> None:
        check_readable(text)
        self.session = session or Session(text)
        self.place = place
        self._source = self.session.header.sources[place]
        self.name = self._source.name
        self.rate_hz = self._source.rate_hz
        self.channels = self._source.channels
        self.unit = self._source.unit
        if want.given_rate_hz not in (None, self.rate_hz):
            raise ConfigError(
                f"{text} states that {self.name} has {self.rate_hz} Hz, and --rate says "
                f"{want.given_rate_hz}; leave --rate out."
            )
        check_given_channels(self.name, self.channels, want.given_channels)
        check_channels(self.name, self.channels, want.channels, "pick some with --channel 0, or --channel mix")

    def __enter__(self) -> Replayed:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __iter__(self) -> Iterator[Block | Health]:
        for record in self.session.records(self.place, b"BH"):
            yield (block_of if record.kind == b"B" else health_of)(record, self._source)


def open_session(text: str, want: Wanted) -> list[Replayed]:
    """All sources of a recorded session. Raises `SourceError`, `SignalError` and `ConfigError`."""
    refuse_pcm_format(text, want)
    check_readable(text)
    session = Session(text)
    check_any(text, sum(session.samples.values()))
    return [Replayed(text, want, session, place) for place in range(len(session.header.sources))]


@dataclass
class Compared:
    """Counts of a replay: what was compared, what of it differs, and hops that were recorded or replayed alone."""

    hops: int = 0
    logits: int = 0
    logits_differ: int = 0
    integers: int = 0  # of frames
    integers_differ: int = 0
    alone: int = 0

    def __add__(self, other: Compared) -> Compared:
        return Compared(
            self.hops + other.hops,
            self.logits + other.logits,
            self.logits_differ + other.logits_differ,
            self.integers + other.integers,
            self.integers_differ + other.integers_differ,
            self.alone + other.alone,
        )

    def __str__(self) -> str:
        text = (
            f"replayed {self.hops:,} hops, {self.logits_differ:,} of {self.logits:,} logits differ from the recorded "
            "ones"
        )
        if self.integers:
            text += (
                f"; the recorded frames were used, {self.integers_differ:,} of {self.integers:,} integers of this "
                "machine's own front-end differ from them"
            )
        if self.alone:
            text += f"; {self.alone:,} hops were only recorded or only replayed, at an end that was cut off"
        return text


class ReplayedModel:
    """A model that gets the recorded frames, if there are any, and whose answers are compared."""

    def __init__(self, model: ModelWithLogits, session: Session, source: int, bundle: int) -> None:
        self._model = model
        self._shape = session.header.bundles[bundle].frames
        self._logits = session.records(source, b"L", bundle)
        self._frames = session.records(source, b"F", bundle)
        self._recorded = session.hops.get((source, bundle), 0)
        self._found = Compared()

    @property
    def compared(self) -> Compared:
        """What was found so far; hops that were recorded and have not come are `alone`."""
        return self._found + Compared(alone=self._recorded - self._found.hops)

    def reset(self) -> None:
        self._model.reset()

    def push(self, frames: Frames) -> NDArray[np.float32] | None:
        if (record := next(self._frames, None)) is not None:
            frames = self._given(record, frames)
        scores = self._model.push(frames)
        if scores is not None:
            self._compare(next(self._logits, None))
        return scores

    def _given(self, record: Record, computed: Frames) -> Frames:
        """The recorded frames, as numbers that are quantized to the same integers."""
        spec = self._model.runner.inputs[0]
        recorded = np.frombuffer(record.payload, np.int8).reshape(self._shape)
        integers = np.empty(self._shape, spec.dtype)
        quantize(computed, spec, integers)
        self._found.integers += recorded.size
        self._found.integers_differ += int(np.count_nonzero(decode(integers, spec) != recorded))
        return dequantized(recorded, spec)

    def _compare(self, record: Record | None) -> None:
        if record is None:
            self._found.alone += 1
            return
        logits = decode(self._model.logits, self._model.runner.outputs[0])
        self._found.hops += 1
        self._found.logits += logits.size
        self._found.logits_differ += int(np.count_nonzero(np.frombuffer(record.payload, np.int8) != logits))


def dequantized(integers: NDArray[np.int8], spec: TensorSpec) -> Frames:
    """Numbers of which `quantize` makes the same integers again."""
    values: Frames = (encode(integers, spec).astype(np.float32) - np.float32(spec.zero_point)) * np.float32(spec.scale)
    return values
