"""What `edgeres record` shows on stderr: lines in a pipe, a countdown and the level on a terminal."""

from __future__ import annotations

from math import ceil
from time import monotonic

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_res.clips.takes import Progress, Take
from edge_res.flow import Health
from edge_res.signal.level import FLOOR_DB, decibels
from edge_res.sinks.table import bar

_REFRESH_S = 0.05


class PlainScreen:
    """A line for each take: when it begins, and whether it is kept."""

    def __init__(self, console: Console, label: str, count: int, seconds: float, unit: str) -> None:
        self.console = console
        self.label = label
        self.count = count
        self.seconds = seconds
        self.unit = unit
        self.done = 0
        self._taking = False

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        if progress.taken_s and not self._taking:
            self.say(f"{self.label} {self.done + 1} of {self.count}: now, for {self.seconds:g} s")
        self._taking = progress.taken_s > 0

    def kept(self, file: str, take: Take) -> None:
        self.done += 1
        peak = describe_peak(float(np.abs(take.samples).max()), self.unit)
        self.say(f"{self.label} {self.done} of {self.count}: kept as {file}, peak {peak}", "green")
        self._taking = False

    def rejected(self, fault: str) -> None:
        self.say(f"{self.label} {self.done + 1} of {self.count}: rejected: {fault}; try again", "red")
        self._taking = False

    def health(self, health: Health) -> None:
        self.say(f"{health.source} is {health.state}: {health.reason}", "yellow")

    def say(self, line: str, style: str = "") -> None:
        self.console.print(Text(line, style=style), soft_wrap=True)


class LiveScreen(PlainScreen):
    """The countdown, the progress of the take and the level, below the lines on earlier takes."""

    def __init__(self, console: Console, label: str, count: int, seconds: float, unit: str) -> None:
        super().__init__(console, label, count, seconds, unit)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawn_s = -1.0
        self._peak = 0.0  # since it was drawn

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def progress(self, progress: Progress) -> None:
        self._peak = max(self._peak, progress.peak)
        if monotonic() - self._drawn_s >= _REFRESH_S:
            self._drawn_s = monotonic()
            self._live.update(self._picture(progress), refresh=True)
            self._peak = 0.0

    def _picture(self, progress: Progress) -> Group:
        if progress.left_s:
            state = Text(f"{self.label} {self.done + 1} of {self.count} in {ceil(progress.left_s)} …", style="yellow")
            rows = [("", bar(0.0, "dim"), "get ready")]
        else:
            state = Text(f"{self.label} {self.done + 1} of {self.count}: now", style="bold red")
            rows = [("take", bar(progress.taken_s / self.seconds, "red"), f"{progress.taken_s:.1f} s")]
        told = describe_peak(self._peak, self.unit)
        if self.unit:
            rows.append(("peak", Text(), told))
        else:
            level_db = decibels(self._peak)
            colour = "red" if level_db > -1 else "green"
            rows.append(("level", bar(1 - level_db / FLOOR_DB, colour), told))
        table = Table.grid(padding=(0, 2))
        for name, picture, text in rows:
            table.add_row(name, picture, text)
        return Group(state, table)


def describe_peak(peak: float, unit: str) -> str:
    """A peak in the unit of a sensor; of audio, which has none, in dB of full scale."""
    return f"{peak:.3g} {unit}" if unit else f"{decibels(peak):.0f} dBFS"
