"""The health of the sources: logged as it changes, and reported each second in a file and to systemd."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any

from edge_res.errors import OutputError
from edge_res.flow import Block, Health
from edge_res.model.bundle import Manifest
from edge_res.service.systemd import notify
from edge_res.signal.level import decibels
from edge_res.sinks import Sink
from edge_res.sources import Source
from edge_res.stats import Stats
from edge_res.telling import LOGGER
from edge_res.writing import replace_file

_EVERY_S = 1.0
_SAID = {
    "healthy": "is healthy again",
    "alarmed": "is alarmed",
    "recovering": "is recovering",
    "failed": "has failed",
    "ended": "has ended",
}


@dataclass
class _Seen:
    """What is known of one source."""

    source: Source
    state: str = "healthy"
    reason: str = ""
    stats: Stats | None = None
    peak: float = 0.0  # since the last report
    fed_s: float = 0.0  # when its last sample came
    begun: bool = False  # whether any has

    def report(self, now_s: float) -> dict[str, Any]:
        """As the health file has it."""
        stats = self.stats or Stats()
        return {
            "source": self.source.name,
            "state": self.state,
            "reason": self.reason,
            "rate_hz": self.source.rate_hz,
            "channels": self.source.channels,
            "unit": self.source.unit,
            "audio_s": round(stats.audio_s, 3),
            "gaps": stats.gaps,
            "lost": stats.lost,
            "events": stats.events,
            "level_db": None if self.source.unit else round(decibels(self.peak), 1),
            "peak": round(self.peak, 6),
            "last_block_age_s": round(now_s - self.fed_s, 3),
            "hop_p99_us": round(stats.percentile_us(99), 1),
        }


class HealthReport(Sink):
    """A sink: states on stderr, `path` and systemd each second. It is the loop that calls it: one that hangs is silent.

    The file is one JSON object, replaced as a whole. One that cannot be written is refused at the start; later it is
    reported once and tried again each second; listening continues, and the file keeps its old time. systemd
    (sd_notify(3), where `NOTIFY_SOCKET` is set) gets READY when samples come and each source has begun, or
    is known not to be healthy, WATCHDOG and STATUS each second and STOPPING at the end.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._ready = False
        self._reported_s = -_EVERY_S
        self._written = self._told = False  # the file, ever; that it cannot be any more

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        now_s = self._clock()
        self._seen = {source.name: _Seen(source, fed_s=now_s) for source in sources}
        self._report(now_s)

    def block(self, block: Block, stats: Stats) -> None:
        seen, now_s = self._seen[block.source], self._clock()
        seen.stats = stats
        seen.peak = max(seen.peak, stats.peak)
        if len(block.samples):
            seen.fed_s, seen.begun = now_s, True
            if not self._ready and all(other.begun or other.state != "healthy" for other in self._seen.values()):
                self._ready = True
                notify("READY=1")
        if now_s - self._reported_s >= _EVERY_S:
            self._report(now_s)

    def health(self, health: Health) -> None:
        seen = self._seen[health.source]
        seen.state, seen.reason = health.state, health.reason
        # If there is only one source, its end is that of the program, which reports it.
        if health.state not in ("failed", "ended") or len(self._seen) > 1:
            reason = f": {health.reason}" if health.reason else ""
            level = logging.INFO if health.state in ("healthy", "ended") else logging.WARNING
            LOGGER.log(level, "%s %s at %.1f s%s", health.source, _SAID[health.state], health.at_s, reason)
        self._report(self._clock())

    def finish(self) -> None:
        notify("STOPPING=1")
        if self._written or self._path is None:
            self._report(self._clock())

    def _report(self, now_s: float) -> None:
        self._reported_s = now_s
        notify(f"WATCHDOG=1\nSTATUS={self._status()}")
        if self._path is not None:
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            body = {"time": now, "pid": os.getpid(), "sources": [s.report(now_s) for s in self._seen.values()]}
            self._replace(self._path, json.dumps(body, ensure_ascii=False, indent=1) + "\n")
        for seen in self._seen.values():
            seen.peak = 0.0

    def _replace(self, path: Path, text: str) -> None:
        try:
            replace_file(path, text, durable=False)
        except OutputError as error:
            if not self._written:
                raise
            if not self._told:
                LOGGER.warning("%s", error)
            self._told = True
        else:
            self._written, self._told = True, False

    def _status(self) -> str:
        states = (
            f"{seen.source.name} {seen.state}, {seen.stats.audio_s if seen.stats else 0:.0f} s, "
            f"{seen.stats.lost if seen.stats else 0} samples lost"
            for seen in self._seen.values()
        )
        return "; ".join(states).replace("\n", " ")
