"""Long recordings, as `listen` hears them: words that are missed, and false accepts an hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_res.clips.manifest import NOISE, Entry
from edge_res.clips.recordings import UnusableError, read_recordings
from edge_res.errors import EdgeResError
from edge_res.evaluation.metrics import wilson
from edge_res.flow import Block, Event, Samples, Scores
from edge_res.loop import Stream, listen
from edge_res.model.bundle import DecideParams, Manifest
from edge_res.model.ensemble import Chain
from edge_res.sinks import Sink
from edge_res.sources import Source, Wanted, open_source
from edge_res.sources.adapters import Picked
from edge_res.stats import Stats

_LATE_S = 1.0  # an event belongs to a word until so long after the word's end
_AT_ONCE = 12  # hops that a recording is read in


def long_recordings(entries: Sequence[Entry]) -> dict[Path, list[Entry]]:
    """The files of which rows name parts, each with its rows, and those labelled `noise`, which contain no word."""
    found: dict[Path, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.end_s is not None:
            found[entry.path].append(entry)
        elif entry.label == NOISE:
            found.setdefault(entry.path, [])
    return found


def evaluate_streams(
    chains: Sequence[Chain], manifest: Manifest, recordings: Mapping[Path, Sequence[Entry]], tell: Callable[[int], None]
) -> tuple[dict[str, Any], list[UnusableError]]:
    """What the chains, an ensemble if several, hear in recordings, and the files that cannot be used.

    A word is missed when nothing switches on with its label from its beginning to a second after its end. What switches
    on where no word of its label is, is a false accept.
    """
    counts = {label: {"words": 0, "missed": 0, "false_accepts": 0} for label in manifest.decide.thresholds}
    audio_s, unusable = 0.0, []
    for done, (path, entries) in enumerate(recordings.items(), 1):
        try:
            events, lasted_s = heard(chains, manifest, path)
        except UnusableError as error:
            unusable.append(error)
            continue
        finally:
            tell(done)
        audio_s += lasted_s
        for label, count in counts.items():
            words = [(entry.start_s, (entry.end_s or 0.0) + _LATE_S) for entry in entries if entry.label == label]
            times = [event.at_s for event in events if event.label == label]
            count["words"] += len(words)
            count["missed"] += sum(not any(start <= at <= end for at in times) for start, end in words)
            count["false_accepts"] += sum(not any(start <= at <= end for start, end in words) for at in times)
    total = {what: sum(count[what] for count in counts.values()) for what in ("words", "missed", "false_accepts")}
    found = {
        "recordings": len(recordings) - len(unusable),
        "hours": round(audio_s / 3600, 4),
        **total,
        "miss_rate": round(total["missed"] / total["words"], 4) if total["words"] else 0.0,
        "miss_rate_interval": wilson(total["missed"], total["words"]),
        "false_accepts_an_hour": round(3600 * total["false_accepts"] / audio_s, 3) if audio_s else 0.0,
        "per_label": counts,
    }
    return found, unusable


def heard(chains: Sequence[Chain], manifest: Manifest, path: Path) -> tuple[list[Event], float]:
    """What switches on in a recording, and how many seconds it lasts: the source and the loop are those of `listen`.

    Raises `UnusableError`.
    """
    try:
        with opened(path, manifest) as source:
            for chain in chains:
                chain.reset()
            stream, onsets = Stream(source, chains, manifest.decide), Onsets()
            listen([stream], [source], onsets)
    except UnusableError:
        raise
    except EdgeResError as error:
        raise UnusableError(path, str(error).rstrip(".")) from None
    return onsets.events, stream.stats.audio_s


def opened(path: Path, manifest: Manifest) -> Source:
    """A recording as a source; several channels are mixed to one where the model listens to one, as in training."""
    params = manifest.front_end
    rate_hz = params.sample_rate_hz
    if path.suffix.lower() == ".npy":  # which may hold several recordings, and has no rate of its own
        return Played(str(path), rate_hz, read_recordings(Entry(path, "", "", ""), rate_hz, params.channels).samples)
    hop_s = manifest.hop * params.hop_length / rate_hz
    source = open_source(str(path), Wanted(rate_hz, None, hop_s, at_once=_AT_ONCE))
    return Picked(source, None) if params.channels == 1 < source.channels else source


class Played:
    """A source that plays recordings from memory, float32 `(samples, channels)`, one after the other."""

    unit = ""

    def __init__(self, name: str, rate_hz: int, recordings: Sequence[Samples]) -> None:
        self.name = name
        self.rate_hz = rate_hz
        self.channels = recordings[0].shape[1]
        self._recordings = recordings

    def __enter__(self) -> Played:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __iter__(self) -> Iterator[Block]:
        at = 0
        for samples in self._recordings:
            yield Block(self.name, at, samples)
            at += len(samples)


def scores_of(chains: Sequence[Chain], decide: DecideParams, source: Source) -> list[Scores]:
    """The scores of each hop of a source, played to its end."""
    kept = Kept()
    with source:
        listen([Stream(source, chains, decide)], [source], kept)
    return kept.scores


class Kept(Sink):
    """Keeps the scores."""

    def __init__(self) -> None:
        self.scores: list[Scores] = []

    def hop(self, block: Block, scores: Scores, stats: Stats) -> None:
        self.scores.append(scores)


class Onsets(Sink):
    """Keeps the events that switch on."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        if event.event == "on":
            self.events.append(event)
