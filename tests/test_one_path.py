"""One way from a file to events: odd recordings are the same to `listen`, Python, `evaluate` and the clip reader."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

import edge_res
from edge_res.clips.manifest import Entry
from edge_res.clips.recordings import fault_of, read_recordings
from edge_res.errors import EdgeResError
from edge_res.evaluation.streams import heard
from edge_res.flow import Samples
from tests.edgeres import DEMO, edgeres_here, lines

RATE_HZ = 16000
Onsets = list[tuple[str, float]]
REFUSED: Onsets = [("refused", 0.0)]


def said() -> Samples:
    """Two words of the demo, float32 `(samples, 1)`."""
    samples: Samples = soundfile.read(DEMO, dtype="float32", always_2d=True, stop=6 * RATE_HZ)[0]
    return samples


def written(path: Path, rate_hz: int = RATE_HZ, channels: int = 1, **form: str) -> bytes:
    samples = soxr.resample(said(), RATE_HZ, rate_hz) if rate_hz != RATE_HZ else said()
    soundfile.write(path, np.repeat(samples, channels, axis=1), rate_hz, **form)
    return path.read_bytes()


def in_form(suffix: str, rate_hz: int = RATE_HZ, channels: int = 1, **form: str) -> Callable[[Path], Path]:
    """A recording as libsndfile writes it."""

    def make(folder: Path) -> Path:
        path = folder / f"sound{suffix}"
        written(path, rate_hz, channels, **form)
        return path

    return make


def damaged(suffix: str, change: Callable[[bytes], bytes], **form: str) -> Callable[[Path], Path]:
    """A recording whose bytes were changed."""

    def make(folder: Path) -> Path:
        path = folder / f"sound{suffix}"
        path.write_bytes(change(written(path, RATE_HZ, 1, **form)))
        return path

    return make


def with_sizes(data: int, riff: int | None = None) -> Callable[[bytes], bytes]:
    """The lengths that a WAV file declares, of its samples and of itself."""

    def change(raw: bytes) -> bytes:
        whole = bytearray(raw)
        at = whole.index(b"data") + 4
        whole[at : at + 4] = struct.pack("<I", data)
        if riff is not None:
            whole[4:8] = struct.pack("<I", riff)
        return bytes(whole)

    return change


def with_chunk(name: bytes, body: bytes) -> Callable[[bytes], bytes]:
    """A WAV file with a chunk before its samples."""

    def change(raw: bytes) -> bytes:
        chunk = name + struct.pack("<I", len(body)) + body
        at = raw.index(b"data")
        return raw[:4] + struct.pack("<I", len(raw) - 8 + len(chunk)) + raw[8:at] + chunk + raw[at:]

    return change


def without_length(raw: bytes) -> bytes:
    """A FLAC file as an encoder writes it into a pipe: 36 bits of STREAMINFO say how many samples (RFC 9639, 8.2)."""
    whole = bytearray(raw)
    whole[21] &= 0xF0
    whole[22:26] = bytes(4)
    return bytes(whole)


def array(samples: Callable[[Samples], np.ndarray[tuple[int, ...], np.dtype[np.generic]]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        np.save(folder / "sound.npy", samples(said()))
        return folder / "sound.npy"

    return make


def with_nan(folder: Path) -> Path:
    samples = said()
    samples[50000] = np.nan
    soundfile.write(folder / "nan.wav", samples, RATE_HZ, subtype="FLOAT")
    return folder / "nan.wav"


def short(seconds: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        soundfile.write(folder / "short.wav", said()[: round(seconds * RATE_HZ)], RATE_HZ)
        return folder / "short.wav"

    return make


def text(folder: Path) -> Path:
    (folder / "text.wav").write_text("this is not audio")
    return folder / "text.wav"


def oddly_named(folder: Path) -> Path:
    path = folder / "caf\udce9 [red] %s.flac"  # Latin-1, as os.fsdecode gives it
    raw = written(folder / "plain.flac")
    with open(os.fsencode(path), "wb") as file:  # noqa: PTH123
        file.write(raw)
    return path


RECORDINGS: dict[str, Callable[[Path], Path]] = {
    "16 bits": in_form(".wav", subtype="PCM_16"),
    "8 bits": in_form(".wav", subtype="PCM_U8"),
    "24 bits": in_form(".wav", subtype="PCM_24"),
    "32 bits": in_form(".wav", subtype="PCM_32"),
    "float": in_form(".wav", subtype="FLOAT"),
    "double": in_form(".wav", subtype="DOUBLE"),
    "u-law": in_form(".wav", subtype="ULAW"),
    "a-law": in_form(".wav", subtype="ALAW"),
    "ADPCM": in_form(".wav", subtype="IMA_ADPCM"),
    "extensible": in_form(".wav", format="WAVEX"),
    "RF64": in_form(".wav", format="RF64"),
    "suffix in capitals": in_form(".WAV"),
    "8 kHz": in_form(".wav", rate_hz=8000),
    "44.1 kHz": in_form(".wav", rate_hz=44100),
    "96 kHz": in_form(".flac", rate_hz=96000),
    "two channels": in_form(".wav", channels=2),
    "two channels at 48 kHz": in_form(".ogg", rate_hz=48000, channels=2),
    "killed recorder": damaged(".wav", with_sizes(0)),
    "killed recorder, all lengths 0": damaged(".wav", with_sizes(0, 0)),
    "written to a pipe": damaged(".wav", with_sizes(0xFFFFFFFF, 0xFFFFFFFF)),
    "written to a pipe by sox": damaged(".wav", with_sizes(0x7FFFF000)),
    "killed recorder of 24 bits, a part of a sample": damaged(
        ".wav", lambda raw: with_sizes(0)(raw)[:-1], subtype="PCM_24"
    ),
    "breaks off": damaged(".wav", lambda raw: raw[: 2 * len(raw) // 3]),
    "breaks off inside a sample": damaged(".wav", lambda raw: raw[: 2 * len(raw) // 3 // 2 * 2 + 1]),
    "joined": damaged(".wav", lambda raw: raw + raw),
    "titles before the samples": damaged(".wav", with_chunk(b"LIST", b"INFOINAM\4\0\0\0abc\0")),
    "broadcast": damaged(".wav", with_chunk(b"bext", b"\0" * 320 + b"2026-03-0111:00:00" + b"\0" * 264)),
    "titles behind the samples": damaged(".wav", lambda raw: raw + b"LIST\4\0\0\0INFO"),
    "FLAC of 24 bits": in_form(".flac", subtype="PCM_24"),
    "FLAC of unknown length": damaged(".flac", without_length),
    "FLAC that breaks off": damaged(".flac", lambda raw: raw[: len(raw) // 2]),
    "FLAC with titles behind": damaged(".flac", lambda raw: raw + b"TAG" + b"x" * 125),
    "Vorbis": in_form(".ogg", format="OGG", subtype="VORBIS"),
    "Opus": in_form(".ogg", format="OGG", subtype="OPUS"),
    "OGG that breaks off": damaged(".ogg", lambda raw: raw[: 2 * len(raw) // 3]),
    "OGG joined": damaged(".ogg", lambda raw: raw + raw),
    "array": array(lambda samples: samples),
    "array of integers": array(lambda samples: np.rint(samples * 32767).astype(np.int16)),
    "array of two channels": array(lambda samples: np.repeat(samples, 2, axis=1)),
    "not a number": with_nan,
    "shorter than a window": short(1.0),
    "empty": short(0.0),
    "no sound file": text,
    "an odd name": oddly_named,
}


@pytest.fixture(scope="module")
def model() -> edge_res.Model:
    return edge_res.load("default")


def by_listen(path: Path) -> Onsets:
    rate = ("--rate", str(RATE_HZ)) if path.suffix == ".npy" else ()
    done = edgeres_here("listen", path, "--channel", "mix", "--format", "jsonl", *rate)
    if done.returncode:
        assert done.returncode in (3, 5), done.stderr.decode()
        return REFUSED
    return [(event["label"], event["start_s"]) for event in lines(done) if event["event"] == "on"]


def by_python(model: edge_res.Model, path: Path) -> Onsets:
    rate_hz = RATE_HZ if path.suffix == ".npy" else None
    listener = edge_res.Listener(path, model=model, channel="mix", rate_hz=rate_hz)
    return [(event.label, event.start_s) for event in listener if event.event == "on"]


def by_evaluate(model: edge_res.Model, path: Path) -> Onsets:
    models = [one.fork() for one in model.models]
    events, _ = heard(model.ensemble.chains(models), model.manifest, path)
    return [(event.label, event.start_s) for event in events]


def by_clip_reader(model: edge_res.Model, path: Path) -> Onsets:
    """What training sees of it."""
    (samples,) = read_recordings(Entry(path, "", "", ""), RATE_HZ, 1).samples
    if fault_of(samples):
        return REFUSED
    stream = model.stream()
    events = [event for scores in stream.push(samples) for event in stream.events(scores)] + stream.finish()
    return [(event.label, event.start_s) for event in events if event.event == "on"]


def each_way(model: edge_res.Model, path: Path) -> Iterator[Onsets]:
    yield by_listen(path)
    for way in (by_python, by_evaluate, by_clip_reader):
        yield unless_refused(way, model, path)


def unless_refused(way: Callable[[edge_res.Model, Path], Onsets], model: edge_res.Model, path: Path) -> Onsets:
    try:
        return way(model, path)
    except EdgeResError:
        return REFUSED


@pytest.mark.parametrize("kind", RECORDINGS)
def test_each_way_hears_the_same(tmp_path: Path, model: edge_res.Model, kind: str) -> None:
    first, *others = each_way(model, RECORDINGS[kind](tmp_path))
    assert all(other == first for other in others), (first, others)


def test_most_of_them_are_heard(tmp_path: Path, model: edge_res.Model) -> None:
    """Else they would be alike for no good reason."""
    found = {}
    for i, (kind, make) in enumerate(RECORDINGS.items()):
        (tmp_path / str(i)).mkdir()
        found[kind] = [label for label, _ in unless_refused(by_python, model, make(tmp_path / str(i)))]
    assert len(RECORDINGS) > 40
    assert {kind for kind, labels in found.items() if labels == ["refused"]} == {
        "FLAC that breaks off", "joined", "not a number", "empty", "no sound file",
    }  # fmt: skip
    assert sum(labels == ["yes", "no"] for labels in found.values()) >= 33, found
