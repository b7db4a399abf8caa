"""`edgeres record`."""

from __future__ import annotations

import getpass
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_res.commands.options import Channel, GiveUp, PcmFormat, number
from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.telling import ended_by_signal, say
from edge_res.writing import writing

if TYPE_CHECKING:
    from edge_res.clips.store import Clip, ClipStore
    from edge_res.clips.takes import Take
    from edge_res.commands.record_screen import LiveScreen, PlainScreen
    from edge_res.sources import Source

RATE_HZ = 16000  # what models of speech listen to
_BLOCK_S = 0.05  # for a level that moves
_MOST_REJECTED = 20  # in a row
_FLAC_CHANNELS, _FLAC_HZ = 8, 655_350  # at most, RFC 9639
_SOURCE = "Source"


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """Which source to take clips from, and what they are like."""

    source: str
    label: str
    group: str
    set: str
    seconds: float
    pause_s: float
    quietest_db: float
    rate_hz: int | None
    channels: int | None
    channel: str | None
    pcm_format: str | None
    give_up_s: float | None


def record(
    *,
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder for the clips and their manifest.csv, for `edgeres train`."),
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="[SOURCE]", help="Source to record: mic:, mic:NAME, or any other source of `edgeres listen`."
        ),
    ] = "mic:",
    label: Annotated[
        str, typer.Option(metavar="LABEL", help="Label of the clips, which is also the name of their folder.")
    ],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Number of clips to collect.")] = 20,
    seconds: Annotated[
        float, typer.Option(callback=number, min=0.01, max=3600.0, metavar="SECONDS", help="Length of each clip.")
    ] = 1.0,
    pause: Annotated[
        float,
        typer.Option(
            callback=number, min=0.0, max=3600.0, metavar="SECONDS", help="Length of the countdown before each clip."
        ),
    ] = 2.0,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP",
            show_default="the user's name",
            help="Group of the clips: the speaker, the machine or the day, for example.",
        ),
    ] = None,
    set: Annotated[str, typer.Option(metavar="SET", help="Set in the manifest to which the clips are added.")] = "",
    quietest: Annotated[
        float,
        typer.Option(
            callback=number, max=0.0, metavar="DB", help="Lowest peak of a clip to keep, in dB relative to full scale."
        ),
    ] = -45.0,
    rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="HZ",
            rich_help_panel=_SOURCE,
            show_default="16000, or the device's",
            help="Sample rate to record at, in Hz.",
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=_SOURCE,
            show_default="1 of a microphone, else all",
            help="Number of channels to record.",
        ),
    ] = None,
    channel: Channel = None,
    pcm_format: PcmFormat = None,
    give_up: GiveUp = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per clip.")] = False,
) -> None:
    """Collect clips of a label, for training. Clips that are silent, overdriven or interrupted are recorded again."""
    from rich.console import Console

    from edge_res.clips.store import ClipStore
    from edge_res.commands.record_screen import LiveScreen, PlainScreen

    options = RecordOptions(
        source=source,
        label=label,
        group=group or user(),
        set=set,
        seconds=seconds,
        pause_s=pause,
        quietest_db=quietest,
        rate_hz=rate,
        channels=channels,
        channel=channel,
        pcm_format=pcm_format,
        give_up_s=give_up,
    )
    store = ClipStore(folder, label, options.group)
    opened, device = open_one(options)
    say(
        f"{count} clips of {label!r} by {options.group!r} from {device} at {opened.rate_hz} Hz, channels: "
        f"{opened.channels}; Ctrl-C stops and keeps what is recorded"
    )
    console, kept = Console(stderr=True), 0
    screen = LiveScreen if console.is_terminal else PlainScreen
    shown = screen(console, label, count, seconds, opened.unit)
    try:
        with ended_by_signal(), opened, shown:
            for take in good_takes(options, opened, shown):
                with uninterrupted():
                    clip, content = make_clip(options, store, take, opened, device)
                    store.keep(content, clip)
                    kept += 1
                    shown.kept(clip.file, take)
                    if as_json:
                        with writing():
                            print(json.dumps(asdict(clip), ensure_ascii=False), flush=True)
                if kept == count:
                    return
        raise SourceError(f"{opened.name} ended after {kept} of {count} clips; give it more to record.")
    except KeyboardInterrupt:
        pass
    finally:
        say(f"{kept} of {count} clips of {label!r} were added to {folder}")


def good_takes(options: RecordOptions, source: Source, shown: LiveScreen | PlainScreen) -> Iterator[Take]:
    """Takes that are fit to train on; the faults of the others are shown."""
    from edge_res.clips.takes import Progress, fault_of, takes
    from edge_res.flow import Health

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
                raise SignalError(f"{rejected} takes in a row were rejected, the last because {fault}.")
        else:
            rejected = 0
            yield item


def open_one(options: RecordOptions) -> tuple[Source, str]:
    """The source, and what the manifest says of it; one channel of a microphone, unless more are asked for."""
    from edge_res.sources import Wanted, open_source
    from edge_res.sources.adapters import Picked, read_pick

    any_channels = options.channel is not None or options.channels is not None or not options.source.startswith("mic:")
    want = Wanted(
        rate_hz=options.rate_hz or RATE_HZ,
        channels=None if any_channels else 1,
        block_s=_BLOCK_S,
        given_rate_hz=options.rate_hz,
        given_channels=options.channels,
        pcm_format=options.pcm_format,
        give_up_s=options.give_up_s,
    )
    source = open_source(options.source, want)
    device = str(getattr(source, "device", source.name))  # only a microphone has more than its name
    if options.channel is None:
        return source, device
    with ExitStack() as opening:
        opening.push(source)
        picked = Picked(source, read_pick(options.channel))
        opening.pop_all()
    return picked, device


def make_clip(options: RecordOptions, store: ClipStore, take: Take, source: Source, device: str) -> tuple[Clip, bytes]:
    """A take as a row and a file: FLAC, or NumPy's for a sensor and for what FLAC cannot hold."""
    from edge_res.clips.store import Clip, npy_of
    from edge_res.sources.files import flac_of

    as_array = bool(source.unit) or source.channels > _FLAC_CHANNELS or source.rate_hz > _FLAC_HZ
    clip = Clip(
        file=store.next_file(".npy" if as_array else ".flac"),
        label=options.label,
        group=options.group,
        set=options.set,
        rate_hz=source.rate_hz,
        channels=source.channels,
        unit=source.unit,
        seconds=round(len(take.samples) / source.rate_hz, 6),
        peak=round(float(abs(take.samples).max()), 6),
        device=device,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    return clip, npy_of(take.samples) if as_array else flac_of(take.samples, source.rate_hz)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM wait until a clip has its row and is shown: a callback of libsndfile would lose them."""
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
    """Who is logged in: the speaker, unless --group names another."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigError("The user name is unknown; name the speaker or session with --group.") from None
