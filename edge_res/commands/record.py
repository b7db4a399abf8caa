"""`edgeres record`."""

from __future__ import annotations

import getpass
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from math import ceil
from pathlib import Path
from time import monotonic

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge_res.clips.store import Clip, ClipStore, npy_of
from edge_res.clips.takes import Progress, Take, fault_of, takes
from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Health
from edge_res.signal.level import FLOOR_DB, decibels
from edge_res.sinks.table import bar
from edge_res.sources import Source, Wanted, open_source
from edge_res.sources.adapters import Picked, read_pick
from edge_res.sources.files import flac_of
from edge_res.telling import ended_by_signal, say
from edge_res.writing import writing

RATE_HZ = 16000  # what models of speech listen to
_BLOCK_S = 0.05  # for a level that moves
_MOST_REJECTED = 20  # in a row
_FLAC_CHANNELS, _FLAC_HZ = 8, 655_350  # at most, RFC 9639


@dataclass(frozen=True)
class RecordOptions:
    """What was asked for on the command line."""

    folder: Path
    source: str
    label: str
    count: int
    seconds: float
    pause_s: float
    group: str | None
    set: str
    quietest_db: float
    rate: int | None
    channels: int | None
    channel: str | None
    pcm_format: str | None
    give_up_s: float | None
    json: bool


def run(options: RecordOptions) -> None:
    """Collect clips until there are as many as asked for, or the user ends it; what is there stays."""
    group = options.group or user()
    store = ClipStore(options.folder, options.label, group)
    source, device = open_one(options)
    say(
        f"{options.count} clips of {options.label!r} by {group!r} from {device} at {source.rate_hz} Hz, channels: "
        f"{source.channels}; Ctrl-C ends, what is there stays"
    )
    console, kept = Console(stderr=True), 0
    screen = LiveScreen if console.is_terminal else PlainScreen
    shown = screen(console, options.label, options.count, options.seconds, source.unit)
    try:
        with ended_by_signal(), source, shown:
            for take in good_takes(options, source, shown):
                with uninterrupted():
                    clip, content = make_clip(options, store, take, source, group, device)
                    store.keep(content, clip)
                    kept += 1
                    shown.kept(clip.file, take)
                    if options.json:
                        with writing():
                            print(json.dumps(asdict(clip), ensure_ascii=False), flush=True)
                if kept == options.count:
                    return
        raise SourceError(f"{source.name} has ended after {kept} of {options.count} clips; give it more to record.")
    except KeyboardInterrupt:
        pass
    finally:
        say(f"{kept} of {options.count} clips of {options.label!r} were added to {options.folder}")


def good_takes(options: RecordOptions, source: Source, shown: LiveScreen | PlainScreen) -> Iterator[Take]:
    """Takes that are fit to train on; what is wrong with the others is shown."""
    rejected = 0
    for item in takes(source, source.rate_hz, source.channels, options.seconds, options.pause_s):
        if isinstance(item, Progress):
            shown.progress(item)
        elif isinstance(item, Health):
            shown.health(item)
        elif fault := fault_of(item, audio=not source.unit, quietest_db=options.quietest_db):
            rejected += 1
            shown.rejected(fault)
            if rejected == _MOST_REJECTED:
                raise SignalError(f"{rejected} takes in a row were rejected, the last since {fault}.")
        else:
            rejected = 0
            yield item


def open_one(options: RecordOptions) -> tuple[Source, str]:
    """The source, and what it is, for the manifest; one channel of a microphone, unless more are asked for."""
    any_channels = options.channel is not None or options.channels is not None or not options.source.startswith("mic:")
    want = Wanted(
        rate_hz=options.rate or RATE_HZ,
        channels=None if any_channels else 1,
        block_s=_BLOCK_S,
        given_rate_hz=options.rate,
        given_channels=options.channels,
        pcm_format=options.pcm_format,
        give_up_s=options.give_up_s,
    )
    source = open_source(options.source, want)
    device = str(getattr(source, "device", source.name))  # only a microphone has more to tell than its name
    if options.channel is None:
        return source, device
    with ExitStack() as opening:
        opening.push(source)
        picked = Picked(source, read_pick(options.channel))
        opening.pop_all()
    return picked, device


def make_clip(
    options: RecordOptions, store: ClipStore, take: Take, source: Source, group: str, device: str
) -> tuple[Clip, bytes]:
    """A take as a row and a file: FLAC, or NumPy's of a sensor and where FLAC cannot."""
    as_array = bool(source.unit) or source.channels > _FLAC_CHANNELS or source.rate_hz > _FLAC_HZ
    clip = Clip(
        file=store.next_file(".npy" if as_array else ".flac"),
        label=options.label,
        group=group,
        set=options.set,
        rate_hz=source.rate_hz,
        channels=source.channels,
        unit=source.unit,
        seconds=round(len(take.samples) / source.rate_hz, 6),
        peak=round(float(np.abs(take.samples).max()), 6),
        device=device,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    return clip, npy_of(take.samples) if as_array else flac_of(take.samples, source.rate_hz)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until a clip has its row and is told: a callback of libsndfile's would lose them."""
    came: list[int] = []
    ended_by = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: came.append(number)) for number in ended_by]
    try:
        yield
    finally:
        for number, handler in zip(ended_by, before, strict=True):
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def user() -> str:
    """Who is logged in: the speaker, where nobody says another."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigError("Nobody knows who speaks here; name the speaker or session with --group.") from None


_REFRESH_S = 0.05


class PlainScreen:
    """A line for each take: when it begins, and what became of it."""

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
        self.say(f"{self.label} {self.done + 1} of {self.count}: rejected: {fault}; once more", "red")
        self._taking = False

    def health(self, health: Health) -> None:
        self.say(f"{health.source} is {health.state}: {health.reason}", "yellow")

    def say(self, line: str, style: str = "") -> None:
        self.console.print(Text(line, style=style), soft_wrap=True)


class LiveScreen(PlainScreen):
    """The countdown, how far the take is, and the level, below what became of the takes before."""

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
    """A peak in the unit of a sensor, or of audio, which has none, in dB of full scale."""
    return f"{peak:.3g} {unit}" if unit else f"{decibels(peak):.0f} dBFS"
