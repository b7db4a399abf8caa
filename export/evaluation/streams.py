"""Long recordings, as `listen` hears them: words that are missed, and false accepts an hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile
import soxr

from edge_res.bundle import Manifest
from edge_res.chain import Chain, push_all
from edge_res.decide import Decide
from edge_res.export.datasets.entries import NOISE, Entry
from edge_res.export.datasets.recordings import UnusableError, mixed, read_recordings, reason_of
from edge_res.export.evaluation.metrics import wilson
from edge_res.flow import Event, Samples, Scores

_LATE_S = 1.0  # an event belongs to a word until so long after the word's end
_BLOCK_S = 10


def long_recordings(entries: Sequence[Entry]) -> dict[Path, list[Entry]]:
    """The files of which rows name parts, each with its rows, and those labelled `noise`, in which there is no word."""
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
    """What the chains, an ensemble if several, tell of recordings, and the files that cannot be used.

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
    """What switches on in a recording, and how many seconds it lasts."""
    params = manifest.front_end
    decide = Decide(manifest.decide, manifest.labels, manifest.delay_s, str(path))
    for chain in chains:
        chain.reset()
    events: list[Event] = []
    samples = hops = 0
    for block in blocks_of(path, params.sample_rate_hz, params.channels):
        samples += len(block)
        for values in push_all(chains, block):
            hops += 1
            if values is not None:
                at_s = params.samples_of(hops * manifest.hop) / params.sample_rate_hz
                events += decide.push(Scores(at_s, values))
    return [event for event in events if event.event == "on"], samples / params.sample_rate_hz


def blocks_of(path: Path, rate_hz: int, channels: int) -> Iterator[Samples]:
    """A recording in blocks at `rate_hz`, however long it is."""
    if path.suffix.lower() == ".npy":
        yield from read_recordings(Entry(path, "", "", ""), rate_hz, channels).samples
        return
    try:
        with soundfile.SoundFile(path) as file:
            if channels not in (1, file.channels):
                raise UnusableError(path, f"{file.channels} channels, the front-end takes {channels}")
            stream = soxr.ResampleStream(file.samplerate, rate_hz, channels, dtype="float32")
            for block in file.blocks(_BLOCK_S * file.samplerate, dtype="float32", always_2d=True):
                part = mixed(block, channels)
                yield part if file.samplerate == rate_hz else stream.resample_chunk(part, file.tell() == file.frames)
    except soundfile.LibsndfileError as error:
        raise UnusableError(path, f"cannot be read as audio: {reason_of(error)}") from None
