"""Recordings, read against libsndfile's own whole-file reading; and everything that is wrong with files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_res.errors import ConfigError, EdgeResError, SignalError, SourceError
from edge_res.flow import Samples
from edge_res.sources import Wanted, open_source
from tests.sources.blocks import blocks_of

WANT = Wanted(16000, 1, block_s=0.08)
STEREO = Wanted(16000, 2, block_s=0.08)


def noise(samples: int, channels: int) -> Samples:
    return (np.random.default_rng(samples).standard_normal((samples, channels)) * 0.1).astype(np.float32)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read anything; somebody else may not."""
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [16000, 44100])
@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [(".wav", "PCM_16"), (".wav", "PCM_24"), (".wav", "FLOAT"), (".FLAC", "PCM_16"), (".ogg", "VORBIS")],
)
def test_blocks_are_the_file(tmp_path: Path, suffix: str, subtype: str, rate_hz: int, channels: int) -> None:
    path = tmp_path / f"sound{suffix}"
    soundfile.write(path, noise(10001, channels), rate_hz, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    with open_source(str(path), WANT if channels == 1 else STEREO) as source:
        assert (source.name, source.rate_hz, source.channels) == (str(path), rate_hz, channels)
        end = 0
        for block in blocks_of(source):
            assert (block.source, block.at, block.lost) == (str(path), end, 0)
            assert block.samples.dtype == np.float32
            assert 0 < len(block.samples) <= 0.08 * rate_hz
            np.testing.assert_array_equal(block.samples, expected[end : end + len(block.samples)])
            end += len(block.samples)
    assert end == len(expected)


def test_a_long_recording_is_never_whole_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(2_000_000, np.int16), 16000)
    with open_source(str(path), WANT) as source:
        tracemalloc.start()
        assert sum(len(block.samples) for block in blocks_of(source)) == 2_000_000
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 100_000


def test_the_demo_comes_along() -> None:
    with open_source("demo:", WANT) as source:
        assert (source.name, source.rate_hz, source.channels) == ("demo:", 16000, 1)
        blocks = [(block.source, len(block.samples), block.samples.any()) for block in blocks_of(source)]
    assert sum(n for _, n, _ in blocks) == 410759
    assert {name for name, _, _ in blocks} == {"demo:"}
    assert all(loud for _, _, loud in blocks)
    with pytest.raises(ConfigError, match="no demo 'demo:2'"):
        open_source("demo:2", WANT)


def refused(source: Path | str, want: Wanted = WANT) -> EdgeResError:
    """The error of opening a source or of reading it to its end: one sentence."""
    with pytest.raises(EdgeResError) as caught, open_source(str(source), want) as opened:
        for _ in opened:
            pass
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "text.wav").write_text("this is not audio")
    (tmp_path / "nothing.flac").touch()
    soundfile.write(tmp_path / "no-samples.wav", np.zeros(0, np.int16), 16000)
    cases: list[tuple[str, type[EdgeResError], str]] = [
        ("none.wav", SourceError, "There is no file {}; check the path."),
        ("folder.wav", SourceError, "{} holds no recording that can be played; put WAV, FLAC,"),
        ("text.wav", SourceError, "{} is not a readable audio file (Format not recognised); give"),
        ("nothing.flac", SourceError, "{} is not a readable audio file (Format not recognised); give"),
        ("no-samples.wav", SignalError, "{} holds 0 samples; there is nothing to listen to."),
        ("in/none.wav/x.wav", SourceError, "There is no file {}; check the path."),
        ("text.wav/x.wav", SourceError, "'{}' cannot be opened: Not a directory."),
        ("nul\0.wav", SourceError, "cannot be opened: embedded null byte."),
    ]
    for name, kind, sentence in cases:
        error = refused(tmp_path / name)
        assert type(error) is kind
        assert sentence.format(tmp_path / name) in str(error)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    soundfile.write(path, noise(100, 1), 16000)
    path.chmod(0)
    with as_nobody():
        error = refused(path)
    assert type(error) is SourceError
    assert f"{path} cannot be read: permission denied" in str(error)


def test_other_channels_than_the_models(tmp_path: Path) -> None:
    path = tmp_path / "it's stereo.wav"
    soundfile.write(path, noise(100, 2), 16000)
    error = refused(path)
    assert type(error) is SignalError
    assert str(error) == (
        f"{path} has 2 channels, but the model expects 1; pick some with --channel 0, or --channel mix."
    )


def test_a_rate_that_contradicts_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, noise(100, 1), 16000)
    error = refused(path, Wanted(16000, 1, 0.08, given_rate_hz=8000))
    assert type(error) is ConfigError
    assert "states that it has 16000 Hz, and --rate says 8000" in str(error)
    with open_source(str(path), Wanted(8000, 1, 0.08, given_rate_hz=16000)) as source:
        assert source.rate_hz == 16000


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_what_is_no_number(tmp_path: Path, value: float, word: str) -> None:
    samples = noise(40000, 2)
    samples[24008, 1] = value
    soundfile.write(tmp_path / "sound.wav", samples, 16000, subtype="FLOAT")
    with open_source(str(tmp_path / "sound.wav"), STEREO) as source:
        blocks = iter(source)
        for _ in range(18):  # what comes before is heard
            next(blocks)
        with pytest.raises(SignalError, match=rf"holds {word} at 1\.500 s in channel 1; a sample must be"):
            next(blocks)


def test_a_recording_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "sound.flac"
    soundfile.write(path, noise(160000, 1), 16000)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    error = refused(path)
    assert type(error) is SourceError
    assert f"{path} breaks off after " in str(error)
    assert " s of 10.0 s; the file is damaged." in str(error)


def test_channels_are_the_files_own(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(16000, 1), 16000)
    with pytest.raises(ConfigError, match="has 1 channel, but --channels says 2; leave --channels out"):
        open_source(str(tmp_path / "a.wav"), Wanted(16000, 1, 0.08, given_channels=2))


def test_a_name_may_be_any_bytes(tmp_path: Path) -> None:
    path = str(tmp_path / "caf\udce9.flac")  # Latin-1, as os.fsdecode gives it
    samples = noise(1600, 1)
    with open(path, "wb") as file:  # noqa: PTH123
        soundfile.write(file, samples, 16000, format="FLAC")
    with open_source(path, WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 1600
