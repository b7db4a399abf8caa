"""For a person: a live view on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_res.flow import Block, Event, Gap, Health, Scores
from edge_res.model.bundle import Manifest
from edge_res.signal.level import FLOOR_DB, decibels
from edge_res.sinks import Sink
from edge_res.sources import Source
from edge_res.stats import Stats
from edge_res.telling import plain
from edge_res.writing import writing

_REFRESH_S = 0.1
_BAR = 24
_TOP = 4


class Lines(Sink):
    """One line an event or gap, and with `all_scores` one a hop: what a table is in a pipe."""

    def __init__(self, console: Console, all_scores: bool) -> None:
        self._console = console
        self._all_scores = all_scores
        self._labels: tuple[str, ...] = ()
        self._several = False
        self._rates_hz: dict[str, int] = {}

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        self._labels = manifest.labels
        self._several = len(sources) > 1
        self._rates_hz = {source.name: source.rate_hz for source in sources}

    def block(self, block: Block, stats: Stats) -> None:
        if block.begins:
            at_s = block.at / self._rates_hz[block.source]
            self._print(describe_beginning(block, at_s, block.source if self._several else ""))

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        if self._all_scores:
            values = "  ".join(
                f"{plain(name)} {value:.3f}" for name, value in zip(self._labels, scores.values, strict=True)
            )
            tag = f"  {plain(block.source)}" if self._several else ""
            self._print(Text(f"{scores.at_s:9.2f} s  {values}{tag}"))

    def emit(self, event: Event) -> None:
        self._print(describe(event, event.source if self._several else ""))

    def gap(self, gap: Gap) -> None:
        self._print(describe_gap(gap, gap.source if self._several else ""))

    def _print(self, line: Text) -> None:
        with writing():
            self._console.print(line, soft_wrap=True)


@dataclass
class _Row:
    """What the live view shows of one source."""

    source: Source
    stats: Stats
    state: str = "healthy"
    peak: float = 0.0  # since it was drawn
    scores: Scores | None = None  # none yet, or none since a gap
    whole_since_s: float = 0.0
    fed_s: float = 0.0  # when its last sample came, by the monotonic clock


class LiveTable(Sink):
    """Level, top scores, hop time and losses of each source, redrawn ten times a second below the events."""

    def __init__(self, console: Console) -> None:
        shares_screen = sys.stderr is not None and sys.stderr.isatty()  # otherwise stderr does not disturb the display
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stderr=shares_screen)
        self._labels: tuple[str, ...] = ()
        self._window_s = 0.0
        self._drawn_s = -1.0
        self._rows: dict[str, _Row] = {}

    def start(self, sources: Sequence[Source], manifest: Manifest) -> None:
        self._labels = manifest.labels
        self._rows = {source.name: _Row(source, Stats(), fed_s=monotonic()) for source in sources}
        self._window_s = manifest.front_end.samples_of(manifest.frames) / manifest.front_end.sample_rate_hz
        self._live.start()

    def block(self, block: Block, stats: Stats) -> None:
        row = self._rows[block.source]
        row.stats = stats
        if block.begins:
            row.scores, row.whole_since_s = None, block.at / row.source.rate_hz
            self._live.console.print(describe_beginning(block, row.whole_since_s, self._tag(block.source)))
        row.peak = max(row.peak, stats.peak)
        now = monotonic()
        if len(block.samples):
            row.fed_s = now
        if now - self._drawn_s >= _REFRESH_S:
            self._drawn_s = now
            top = _TOP if len(self._rows) == 1 else 1
            self._live.update(Group(*(self._picture(row, top) for row in self._rows.values())), refresh=True)
            for row in self._rows.values():
                row.peak = 0.0

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        self._rows[block.source].scores = scores

    def emit(self, event: Event) -> None:
        self._live.console.print(describe(event, self._tag(event.source)))

    def gap(self, gap: Gap) -> None:
        row = self._rows[gap.source]
        row.scores, row.whole_since_s = None, gap.at_s
        self._live.console.print(describe_gap(gap, self._tag(gap.source)))

    def health(self, health: Health) -> None:
        row = self._rows[health.source]
        row.state = health.state
        if health.state not in ("healthy", "ended"):  # the scores are of what was heard before
            row.scores, row.whole_since_s = None, row.stats.audio_s

    def finish(self) -> None:
        self._live.stop()

    def _tag(self, source: str) -> str:
        return source if len(self._rows) > 1 else ""

    def _picture(self, row: _Row, top: int) -> Group:
        stats = row.stats
        rows = Table.grid(padding=(0, 2))
        if row.source.unit:
            rows.add_row("peak", "", Text(f"{row.peak:.3g} {row.source.unit}"))
        else:
            level_db = decibels(row.peak)
            colour = "red" if level_db > -1 else "green"
            rows.add_row("level", bar(1 - level_db / FLOOR_DB, colour), f"{level_db:.0f} dBFS")
        if row.state not in ("healthy", "ended"):
            rows.add_row("nothing", bar(0, "dim"), f"for {monotonic() - row.fed_s:.1f} s")
        elif row.scores is None:
            heard_s = stats.audio_s - row.whole_since_s
            rows.add_row("not ready", bar(heard_s / self._window_s, "dim"), f"{heard_s:.1f} of {self._window_s:.1f} s")
        else:
            for i in np.argsort(row.scores.values)[::-1][:top]:
                value = float(row.scores.values[i])
                rows.add_row(Text(plain(self._labels[i])), bar(value, "cyan"), f"{value:.2f}")
        state = Text(
            f"{plain(row.source.name)}  {row.state + '  ' if row.state != 'healthy' else ''}{stats.audio_s:.1f} s  "
            f"hop {stats.last_hop_us:.0f} µs, p99 {stats.percentile_us(99):.0f} µs  lost {stats.lost}",
            style="red" if stats.lost or row.state not in ("healthy", "ended") else "dim",
        )
        return Group(state, rows)


def bar(share: float, colour: str) -> Text:
    """A bar of a fixed width, `share` of it filled."""
    full = round(min(1.0, max(0.0, share)) * _BAR)
    return Text("━" * full, style=colour) + Text("─" * (_BAR - full), style="dim")


def describe(event: Event, tag: str) -> Text:
    """An event as a line, behind it the source where `tag` names it; times in seconds since the source's beginning."""
    end = f"  {plain(tag)}" if tag else ""
    if event.event == "on":
        return Text(f"{event.start_s:9.2f} s  {plain(event.label)}  {event.score:.2f}{end}", style="bold green")
    return Text(f"{event.end_s or 0.0:9.2f} s  {plain(event.label)} off{end}", style="dim")


def describe_beginning(block: Block, at_s: float, tag: str) -> Text:
    end = f"  {plain(tag)}" if tag else ""
    return Text(f"{at_s:9.2f} s  {plain(block.begins)}{end}", style="blue")


def describe_gap(gap: Gap, tag: str) -> Text:
    end = f"  {plain(tag)}" if tag else ""
    return Text(f"{gap.at_s:9.2f} s  {gap.lost} samples lost ({gap.gap_s:.3f} s){end}", style="bold red")
