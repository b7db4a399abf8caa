"""Folders as one stream, and recordings that are played again."""

from __future__ import annotations

import errno
import os
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Samples
from edge_res.signal.resample import Resampler
from edge_res.sources import Wanted, open_source
from edge_res.sources.adapters import Loop, can_loop
from edge_res.sources.playlist import Playlist
from tests.edgeres import DEMO, edgeres, lines, sentence
from tests.sources.blocks import blocks_of

WANT = Wanted(16000, 1, 0.08)


def put(path: Path, seed: int, rate_hz: int = 16000, channels: int = 1, n: int = 8000) -> Samples:
    """Write noise and return it as it is read back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, (n, channels)), rate_hz)
    samples: Samples = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples


def played(folder: Path, want: Wanted = WANT) -> dict[str, Samples]:
    """What each recording of a playlist gives; checks the positions."""
    with open_source(str(folder), want) as source:
        assert isinstance(source, Playlist)
        found: dict[str, list[Samples]] = {}
        at = 0
        for block in blocks_of(source):
            assert (block.at, block.lost, block.source) == (at, 0, str(folder))
            if block.begins:
                assert block.begins not in found
                found[block.begins] = []
            found[list(found)[-1]].append(block.samples.copy())
            at += len(block.samples)
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


def test_the_recordings_of_a_folder_and_below_come_in_order(tmp_path: Path) -> None:
    expected = {name: put(tmp_path / name, i) for i, name in enumerate(["b.wav", "c/a.FLAC", "c/d/z.ogg", "e.wav"])}
    (tmp_path / ".hidden.wav").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    put(tmp_path / ".git" / "a.wav", 9)
    found = played(tmp_path)
    assert list(found) == list(expected)
    for name, samples in found.items():
        np.testing.assert_array_equal(samples, expected[name])


def test_each_is_resampled_as_it_is_alone(tmp_path: Path) -> None:
    high, low = put(tmp_path / "a.wav", 0, 44100), put(tmp_path / "b.wav", 1, 16000)
    put(tmp_path / "c.wav", 0, 44100)
    found = played(tmp_path)
    resampler = Resampler(44100, 16000, 1)
    np.testing.assert_array_equal(found["a.wav"], np.concatenate([resampler.push(high), resampler.flush()]))
    np.testing.assert_array_equal(found["b.wav"], low)
    np.testing.assert_array_equal(found["c.wav"], found["a.wav"])


def test_what_cannot_be_played_is_told_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    first = put(tmp_path / "b.wav", 0)
    put(tmp_path / "c.wav", 1, channels=2)
    damaged = put(tmp_path / "d.flac", 2, n=40000)
    (tmp_path / "d.flac").write_bytes((tmp_path / "d.flac").read_bytes()[:-20000])
    np.save(tmp_path / "e.npy", first)
    last = put(tmp_path / "f.wav", 3)
    for name in ("list.csv", "cover.jpg", "a.txt", "z.md"):
        (tmp_path / name).write_text("x")
    found = played(tmp_path)
    assert list(found) == ["b.wav", "d.flac", "f.wav"]
    np.testing.assert_array_equal(found["f.wav"], last)
    kept = found["d.flac"]
    assert 4000 < len(kept) < 40000
    np.testing.assert_array_equal(kept, damaged[: len(kept)])
    told = [message.removeprefix(f"{tmp_path}: ") for message in caplog.messages]
    starts = [
        "4 of its files are not .wav, .flac, .ogg, .npy, and left out: a.txt, cover.jpg, list.csv ….",
        "a.wav is skipped: ",
        "c.wav is skipped: ",
        "the rest of d.flac is skipped: ",
        "e.npy is skipped: ",
    ]
    assert len(told) == len(starts)
    for message, start in zip(told, starts, strict=True):
        assert message.startswith(start)
        assert message.endswith(".")
        assert not message.endswith("..")


def test_a_file_that_vanishes_meanwhile_is_told_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i, name in enumerate(["a.wav", "b.wav", "c.wav"]):
        put(tmp_path / name, i)
    with open_source(str(tmp_path), WANT) as source:
        begins = []
        for block in blocks_of(source):
            begins += [block.begins] * bool(block.begins)
            (tmp_path / "b.wav").unlink(missing_ok=True)
    assert begins == ["a.wav", "c.wav"]
    assert "b.wav is skipped: There is no file" in caplog.text


def test_channels_are_those_of_the_first_where_any_are_wanted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stereo = put(tmp_path / "a.wav", 0, channels=2)
    put(tmp_path / "b.wav", 1)
    found = played(tmp_path, Wanted(16000, None, 0.08))
    assert list(found) == ["a.wav"]
    np.testing.assert_array_equal(found["a.wav"], stereo)
    assert "b.wav is skipped: " in caplog.text


def test_arrays_are_played_at_the_rate_that_is_said(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((5000, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    found = played(tmp_path, Wanted(200, 3, 0.08, given_rate_hz=200))
    np.testing.assert_array_equal(found["a.npy"], values)


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    for text in (None, "list.csv", "a.wav"):
        if text:
            (tmp_path / text).write_text("x")
        with pytest.raises(SourceError, match=r"holds no recording that can be played; put WAV, FLAC, OGG or NumPy"):
            open_source(str(tmp_path), WANT)


def test_what_may_not_be_read_is_told_and_skipped_and_a_pipe_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "closed").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "gone.wav").symlink_to("nowhere")
    soundfile.write(tmp_path / "z.wav", np.full((100, 1), 0.25), 16000)
    scandir = os.scandir

    def closed(path: str) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)  # the superuser may always
    assert list(played(tmp_path, WANT)) == ["z.wav"]
    assert caplog.messages[:2] == [
        f"{tmp_path}: {tmp_path}/closed is skipped: Permission denied.",
        f"{tmp_path}: gone.wav is skipped: There is no file {tmp_path}/gone.wav; check the path.",
    ]


def test_the_model_starts_anew_with_each_recording(tmp_path: Path) -> None:
    """Each is heard as it is alone, and where it begins is told."""
    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    heard, at = [], 0
    for i, n in enumerate((60_000, 77_777, 52_345)):
        path = tmp_path / "folder" / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples[at : at + n], rate_hz)
        alone = lines(edgeres("listen", path, "--format", "jsonl", "--scores"))
        heard.append({"event": "recording", "recording": f"{i}.wav", "at_s": at / rate_hz})
        heard += [{**line, "from_s": at / rate_hz} for line in alone]
        at += n
    told = lines(edgeres("listen", tmp_path / "folder", "--format", "jsonl", "--scores"))
    assert len(told) == len(heard)
    for found, expected in zip(told, heard, strict=True):
        from_s = expected.pop("from_s", 0.0)
        for key, value in expected.items():
            if key.endswith("_s"):
                begun_s = 0.0 if key == "duration_s" else from_s
                assert found[key] == pytest.approx(value + begun_s, abs=2e-4)
            elif key not in ("source", "id"):
                assert found[key] == value
    assert "   0.00 s  0.wav" in edgeres("listen", tmp_path / "folder").stdout.decode().splitlines()[0]


def test_a_recording_is_played_again_and_again(tmp_path: Path) -> None:
    samples = put(tmp_path / "a.wav", 0, n=3000)
    with Loop(lambda: open_source(str(tmp_path / "a.wav"), WANT)) as source:
        blocks = [(b.at, b.begins, b.samples.copy()) for b in islice(blocks_of(source), 9)]  # three a time
    assert [at for at, _, _ in blocks] == [i * 3000 + at for i in range(3) for at in (0, 1280, 2560)]
    assert [begins for _, begins, _ in blocks] == ["", "", "", *[str(tmp_path / "a.wav"), "", ""] * 2]
    np.testing.assert_array_equal(np.concatenate([piece for _, _, piece in blocks]), np.tile(samples, (3, 1)))


def test_a_folder_is_played_again_with_its_recordings_named(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", 0)
    put(tmp_path / "b.wav", 1)
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Loop(lambda: open_source(str(tmp_path), WANT)) as source:
        blocks = [(b.at, b.begins) for b in islice(blocks_of(source), 500)]
    assert [at for at, begins in blocks if begins][:5] == [0, 8000, 16000, 24000, 32000]
    assert [begins for _, begins in blocks if begins][:5] == ["a.wav", "b.wav", "a.wav", "b.wav", "a.wav"]
    assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208


def test_what_is_wrong_with_a_recording_is_warned_once(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        put(tmp_path / name, 0)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-2000])
    (tmp_path / "c.wav").write_bytes(b"none")
    for options in ((), ("--loop",)):
        stop = "import edge_res.sources.adapters as l, itertools as i; again = l.Loop.__iter__\n"
        stop += "l.Loop.__iter__ = lambda self: i.islice(again(self), 40)"  # six times
        told = edgeres("listen", tmp_path, "--format", "jsonl", *options, before=stop).stderr.decode()
        for what in ("a.wav breaks off", "b.wav breaks off", "c.wav is skipped"):
            assert told.count(what) == 1, told


def test_a_recording_that_becomes_another_ends_the_loop(tmp_path: Path) -> None:
    put(tmp_path / "a.wav", 0)
    with Loop(lambda: open_source(str(tmp_path / "a.wav"), WANT)) as source:
        blocks = blocks_of(source)
        next(blocks)
        put(tmp_path / "b.wav", 0, rate_hz=8000)
        (tmp_path / "b.wav").replace(tmp_path / "a.wav")
        with pytest.raises(
            SourceError, match=r"a\.wav has changed: it had 16000 Hz and channels: 1, and now has 8000 Hz"
        ):
            list(blocks)


def test_a_loop_of_nothing_ends(tmp_path: Path) -> None:
    put(tmp_path / "a.flac", 0, n=40000)
    raw = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(raw[:200])  # it opens, and none of it can be read
    with Loop(lambda: open_source(str(tmp_path), WANT)) as source, pytest.raises(SignalError, match="holds 0 samples"):
        list(source)


def test_only_recordings_can_be_played_again(tmp_path: Path) -> None:
    for text in ("demo:", "a.wav", "a.CSV", str(tmp_path)):
        assert can_loop(text)
    for text in ("mic:", "-", "serial:/dev/x", "udp://:5", "mqtt://b/t", "iio:0", "a.edgerec"):
        assert not can_loop(text)
    with pytest.raises(ConfigError):
        can_loop("nonsense")
    assert sentence(edgeres("listen", "-", "--loop")) == (
        "--loop plays recordings again and again, and - is not one; leave it out."
    )
