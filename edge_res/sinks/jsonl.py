"""JSON lines: one object a line, the stable form for machines."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from edge_res.errors import ConfigError, OutputError
from edge_res.flow import Block, Event, Gap, Scores
from edge_res.model.bundle import Manifest
from edge_res.sinks import Sink
from edge_res.sources import Source
from edge_res.stats import Stats
from edge_res.writing import writing

VERSION = 1  # of the objects; what is added later does not change it, see docs/reference/json-lines.md


class JsonLines(Sink):
    """Writes events, gaps and where recordings of a playlist begin, as they come.

    With `all_scores` each hop's scores as well, so that they read back exactly.
    """

    def __init__(self, out: TextIO, all_scores: bool, where: str = "stdout") -> None:
        self._out = out
        self._where = where
        # A stream of another encoding would escape what it lacks, and not as JSON does.
        self._ascii = (out.encoding or "").lower().replace("-", "") != "utf8"
        self._all_scores = all_scores
        self._labels: tuple[str, ...] = ()
        self._rates_hz: dict[str, int] = {}

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        self._labels = manifest.labels
        self._rates_hz = {source.name: source.rate_hz for source in sources}

    def block(self, block: Block, stats: Stats) -> None:
        if block.begins:
            at_s = round(block.at / self._rates_hz[block.source], 6)
            self._print({"event": "recording", "recording": block.begins, "at_s": at_s, "source": block.source})

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        if self._all_scores:
            values = dict(zip(self._labels, scores.values.tolist(), strict=True))
            self._print({"at_s": scores.at_s, "scores": values, "source": block.source})

    def emit(self, event: Event) -> None:
        self._print(event_body(event))

    def gap(self, gap: Gap) -> None:
        self._print({"event": "gap", **asdict(gap)})

    def finish(self) -> None:
        with writing(self._where):
            self._out.flush()

    def _print(self, body: dict[str, Any]) -> None:
        line = json.dumps({**body, "version": VERSION}, ensure_ascii=self._ascii)
        with writing(self._where):
            print(line, file=self._out, flush=True)


class JsonLinesFile(JsonLines):
    """`jsonl:PATH`: the same lines, appended to a file; each is written as it comes."""

    def __init__(self, address: str) -> None:
        path = address.partition(":")[2]
        if not path:
            raise ConfigError(f"{address} names no file; give one as in jsonl:events.jsonl.")
        try:
            file = _append_to(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            why = getattr(error, "strerror", error)
            raise OutputError(f"{path} cannot be written: {why}; name another file.") from None
        super().__init__(file, all_scores=False, where=path)

    def finish(self) -> None:
        self._out.close()


def _append_to(path: str) -> TextIO:
    """Open a file to append lines to; a pipe that nobody reads is an error, and a line that was cut off is ended."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o666)
    os.set_blocking(descriptor, True)
    file = open(descriptor, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115, PTH123
    if stat.S_ISREG(os.fstat(descriptor).st_mode) and not _ends_a_line(path):
        file.write("\n")
    return file


def _ends_a_line(path: str) -> bool:
    with Path(path).open("rb") as written:
        if written.seek(0, os.SEEK_END) == 0:
            return True
        written.seek(-1, os.SEEK_END)
        return written.read(1) == b"\n"


def event_body(event: Event) -> dict[str, Any]:
    """An event as a JSON object; what is unknown is left out. `time` is ISO 8601 in UTC, to the millisecond."""
    body = {key: value for key, value in asdict(event).items() if value is not None}
    if event.time is not None:
        body["time"] = event.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return body
