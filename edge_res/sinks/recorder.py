"""Recording a session: what the sources deliver, and what the model answers."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from time import monotonic_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.errors import ConfigError, OutputError
from edge_res.flow import Block, Frames, Health
from edge_res.model.bundle import Manifest
from edge_res.model.models import ModelWithLogits
from edge_res.model.quantization import decode, quantize
from edge_res.session import SUFFIX, Header, block_payload, pack
from edge_res.sinks import Sink
from edge_res.sources import Source
from edge_res.stats import Stats


class SessionWriter:
    """Appends records to a new file, from when it is opened.

    Once the file cannot be written, `failure` is the sentence that reports it, and nothing more is written: what was
    before stays, in whole records.
    """

    def __init__(self, path: Path, header: Header) -> None:
        """Raises `ConfigError` if the file exists, or if its name does not end in .edgerec."""
        self.path = path
        self.failure = ""
        self._header = header
        self._file: FileIO | None = None
        self._size = 0  # of the whole records
        self._began_ns = 0
        if path.suffix.lower() != SUFFIX:
            raise ConfigError(f"{path} would not be known as a session; name it FILE{SUFFIX}.")
        if os.path.lexists(path):
            raise ConfigError(f"{path} is there already; name another file, or remove it.")

    def open(self) -> None:
        """Raises `OutputError`."""
        try:
            self._file = FileIO(self.path, "x")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            why = getattr(error, "strerror", error)
            raise OutputError(f"{self.path} cannot be written: {why}; name another file.") from None
        self._began_ns = monotonic_ns()
        self._append(self._header.to_line())

    def add(self, kind: bytes, payload: bytes, source: int = 0, bundle: int = 0, code: int = 0) -> None:
        time_us = (monotonic_ns() - self._began_ns) // 1000
        self._append(pack(kind, payload, source, bundle, code, time_us))

    def close(self) -> None:
        """End the file, once."""
        if self._file is None or self._file.closed:
            return
        try:
            with self._file as file:
                if not self.failure:
                    self._cut(file)  # an interrupt may have left a part of a record
                self.add(b"E", b"")
        except OSError as error:
            self._fail(error)

    def _append(self, record: bytes) -> None:
        if self.failure or self._file is None:
            return
        try:
            written = self._file.write(record)
            while written < len(record):  # a disk that is nearly full takes a part
                written += self._file.write(record[written:])
            self._size += len(record)
        except OSError as error:
            with suppress(OSError):  # where the disk is gone
                self._cut(self._file)
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = self.failure or (
            f"{self.path} cannot be written any more: {error.strerror}; the {self._size} bytes before are whole, "
            "make room for the next."
        )

    def _cut(self, file: FileIO) -> None:
        file.truncate(self._size)
        file.seek(self._size)


class SessionRecorder(Sink):
    """A sink that records all sources, and the models that are `tapped`.

    `sources` are their names, `frames` asks for the quantized frames too. What cannot be written ends the recording,
    with a warning, and not the listening.
    """

    def __init__(self, writer: SessionWriter, sources: Sequence[str], frames: bool) -> None:
        self.writer = writer
        self._frames = frames
        self._places = {name: place for place, name in enumerate(sources)}
        self._warned = False

    def tapped(self, model: ModelWithLogits, source: int, bundle: int) -> RecordedModel:
        """The model, its logits recorded as it answers."""
        return RecordedModel(model, self.writer, source, bundle, self._frames)

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        self.writer.open()

    def block(self, block: Block, stats: Stats) -> None:
        if len(block.samples) or block.lost or block.begins:
            code, payload = block_payload(block)
            self.writer.add(b"B", payload, self._places[block.source], code=code)
            if self.writer.failure and not self._warned:
                self._warned = True
                logging.getLogger("edge_res").warning("%s", self.writer.failure)

    def health(self, health: Health) -> None:
        if health.state == "ended":  # the end of the session states it, and a replay will report it
            return
        body = {"state": health.state, "reason": health.reason, "at_s": health.at_s}
        self.writer.add(b"H", json.dumps(body).encode(), self._places[health.source])

    def finish(self) -> None:
        self.writer.close()


class RecordedModel:
    """A model whose answers are recorded."""

    def __init__(self, model: ModelWithLogits, writer: SessionWriter, source: int, bundle: int, frames: bool) -> None:
        self.runner = model.runner
        self.logits = model.logits
        self._model = model
        self._writer = writer
        self._source = source
        self._bundle = bundle
        spec = model.runner.inputs[0]
        self._frames: NDArray[Any] | None = np.empty((0, *spec.shape[2:]), spec.dtype) if frames else None

    def reset(self) -> None:
        self._model.reset()

    def push(self, frames: Frames) -> NDArray[np.float32] | None:
        if self._frames is not None:
            spec = self.runner.inputs[0]
            if len(self._frames) != len(frames):
                self._frames = np.empty(frames.shape, spec.dtype)
            quantize(frames, spec, self._frames)
            self._writer.add(b"F", decode(self._frames, spec).tobytes(), self._source, self._bundle)
        scores = self._model.push(frames)
        if scores is not None:
            self.logits = self._model.logits
            integers = decode(self.logits, self.runner.outputs[0])
            self._writer.add(b"L", integers.tobytes(), self._source, self._bundle)
        return scores
