"""For a person: a live view on a terminal, plain lines in a pipe."""

from __future__ import annotations

from time import monotonic

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_res.bundle import Manifest
from edge_res.flow import Block, Event, Gap, Scores
from edge_res.sinks import Stats
from edge_res.sinks.writing import writing
from edge_res.sources import Source

_REFRESH_S = 0.1
_BAR = 24
_TOP = 4
_FLOOR_DB = -80.0


class Lines:
    """One line an event or gap, and with `all_scores` one a hop: what a table is in a pipe."""

    def __init__(self, console: Console, all_scores: bool) -> None:
        self._console = console
        self._all_scores = all_scores
        self._labels: tuple[str, ...] = ()

    def start(self, source: Source, manifest: Manifest) -> None:
        self._labels = manifest.labels

    def block(self, block: Block, stats: Stats) -> None:
        pass

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        if self._all_scores:
            values = "  ".join(f"{name} {value:.3f}" for name, value in zip(self._labels, scores.values, strict=True))
            self._print(Text(f"{scores.at_s:9.2f} s  {values}"))

    def emit(self, event: Event) -> None:
        self._print(describe(event))

    def gap(self, gap: Gap) -> None:
        self._print(describe_gap(gap))

    def _print(self, line: Text) -> None:
        with writing():
            self._console.print(line, soft_wrap=True)

    def finish(self) -> None:
        pass


class LiveTable:
    """Level, top scores, hop time and losses, redrawn ten times a second below the events, which scroll by."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._labels: tuple[str, ...] = ()
        self._name = ""
        self._window_s = 0.0
        self._drawn_s = -1.0
        self._peak = 0.0
        self._scores: Scores | None = None  # none yet, or none since a gap
        self._whole_since_s = 0.0

    def start(self, source: Source, manifest: Manifest) -> None:
        self._labels = manifest.labels
        self._name = source.name
        self._window_s = manifest.front_end.samples_of(manifest.frames) / manifest.front_end.sample_rate_hz
        self._live.start()

    def block(self, block: Block, stats: Stats) -> None:
        if len(block.samples):
            self._peak = max(self._peak, float(np.abs(block.samples).max()))
        now = monotonic()
        if now - self._drawn_s >= _REFRESH_S:
            self._drawn_s = now
            self._live.update(self._picture(stats), refresh=True)
            self._peak = 0.0

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        self._scores = scores

    def emit(self, event: Event) -> None:
        self._live.console.print(describe(event))

    def gap(self, gap: Gap) -> None:
        self._scores, self._whole_since_s = None, gap.at_s
        self._live.console.print(describe_gap(gap))

    def finish(self) -> None:
        self._live.stop()

    def _picture(self, stats: Stats) -> Group:
        level_db = max(_FLOOR_DB, 20 * float(np.log10(self._peak + 1e-9)))
        rows = Table.grid(padding=(0, 2))
        rows.add_row(
            "level", bar(1 - level_db / _FLOOR_DB, "red" if level_db > -1 else "green"), f"{level_db:.0f} dBFS"
        )
        if self._scores is None:
            heard_s = stats.audio_s - self._whole_since_s
            rows.add_row("not ready", bar(heard_s / self._window_s, "dim"), f"{heard_s:.1f} of {self._window_s:.1f} s")
        else:
            for i in np.argsort(self._scores.values)[::-1][:_TOP]:
                value = float(self._scores.values[i])
                rows.add_row(Text(self._labels[i]), bar(value, "cyan"), f"{value:.2f}")
        state = Text(
            f"{self._name}  {stats.audio_s:.1f} s  hop {stats.last_hop_us:.0f} µs, "
            f"p99 {stats.percentile_us(99):.0f} µs  lost {stats.lost}",
            style="red" if stats.lost else "dim",
        )
        return Group(state, rows)


def bar(share: float, colour: str) -> Text:
    """A bar of a fixed width, `share` of it filled."""
    full = round(min(1.0, max(0.0, share)) * _BAR)
    return Text("━" * full, style=colour) + Text("─" * (_BAR - full), style="dim")


def describe(event: Event) -> Text:
    """An event as a line; times in seconds since the source's beginning."""
    if event.event == "on":
        return Text(f"{event.start_s:9.2f} s  {event.label}  {event.score:.2f}", style="bold green")
    return Text(f"{event.end_s or 0.0:9.2f} s  {event.label} off", style="dim")


def describe_gap(gap: Gap) -> Text:
    return Text(f"{gap.at_s:9.2f} s  {gap.lost} samples lost ({gap.gap_s:.3f} s)", style="bold red")
