"""Recordings, read against libsndfile's own whole-file reading; and everything that is wrong with files."""

from __future__ import annotations

import os
import struct
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
        ("text.wav", SourceError, "{} is no audio file that can be read (Format not recognised); give"),
        ("nothing.flac", SourceError, "{} is no audio file that can be read (Format not recognised); give"),
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
    assert f"{path} may not be read: permission denied" in str(error)


def test_other_channels_than_the_models(tmp_path: Path) -> None:
    path = tmp_path / "it's stereo.wav"
    soundfile.write(path, noise(100, 2), 16000)
    error = refused(path)
    assert type(error) is SignalError
    assert str(error) == (
        f"{path} has 2 channels and the model listens to 1 channel; pick some with --channel 0, or --channel mix."
    )


def test_a_rate_that_contradicts_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, noise(100, 1), 16000)
    error = refused(path, Wanted(16000, 1, 0.08, given_rate_hz=8000))
    assert type(error) is ConfigError
    assert "says itself that it has 16000 Hz, and --rate says 8000" in str(error)
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


def test_a_wav_file_that_breaks_off_is_played_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    soundfile.write(tmp_path / "whole.wav", noise(32000, 1), 16000, subtype="PCM_16")
    raw = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(raw[: len(raw) - 32000])
    with open_source(str(tmp_path / "cut.wav"), WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 16000
    (record,) = caplog.records
    assert "its header declares 64000 bytes of samples and 32000 are there (50.0 %)" in record.getMessage()
    caplog.clear()
    with open_source(str(tmp_path / "whole.wav"), WANT):
        assert not caplog.records


@pytest.mark.parametrize("size", [bytes(4), b"\xff" * 4, struct.pack("<I", 0x7FFFF000)], ids=["none", "most", "stream"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_wav_file_that_never_learnt_its_size_is_played_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: bytes, whole: bool
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(16000, 1), 16000, subtype="PCM_16")
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    at = raw.index(b"data") + 4
    raw[at : at + 4] = size
    if not whole:
        raw[4:8] = size
    (tmp_path / "killed.wav").write_bytes(raw)
    with open_source(str(tmp_path / "killed.wav"), WANT) as source:
        played = np.concatenate([block.samples.copy() for block in blocks_of(source)])
    np.testing.assert_array_equal(played, soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)[0])
    (record,) = caplog.records
    assert "killed.wav does not tell its length" in record.getMessage()
    assert "32000 bytes" in record.getMessage()
    assert (tmp_path / "killed.wav").read_bytes() == raw  # it was only read


@pytest.mark.parametrize("told", [True, False], ids=["length told", "not told"])
@pytest.mark.parametrize(("subtype", "sample"), [("PCM_U8", 2), ("PCM_24", 6), ("FLOAT", 8)])
def test_a_truncated_last_sample_of_a_wav_file_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, subtype: str, sample: int, told: bool
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(2001, 2), 16000, subtype=subtype)
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    start = raw.index(b"data") + 8
    del raw[start + 2001 * sample - 1 :]
    raw[start - 4 : start] = struct.pack("<I", 2001 * sample - 1 if told else 0)
    (tmp_path / "a.wav").write_bytes(raw)
    with open_source(str(tmp_path / "a.wav"), STEREO) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 2000
    ends = f"a.wav ends inside a sample: the last {sample - 1} of its {sample} bytes are ignored."
    assert caplog.messages[0].endswith(ends)
    if not told:
        assert f"; its {2000 * sample} bytes of whole samples are played." in caplog.messages[1]


def test_an_odd_number_of_bytes_may_be_whole_samples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(2001, 1), 16000, subtype="PCM_24")
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    start = raw.index(b"data") + 8
    raw[start - 4 : start] = bytes(4)
    (tmp_path / "a.wav").write_bytes(raw[: start + 3 * 2001])
    with open_source(str(tmp_path / "a.wav"), WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 2001
    (told,) = caplog.messages
    assert "a.wav does not tell its length" in told
    assert capfd.readouterr().err == ""  # libsndfile looks behind the end, for the next chunk


def test_what_follows_no_samples_is_not_played(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.int16), 16000)
    raw = (tmp_path / "a.wav").read_bytes() + b"LIST" + struct.pack("<I", 400) + bytes(400)
    (tmp_path / "titled.wav").write_bytes(raw)
    assert type(refused(tmp_path / "titled.wav")) is SignalError


def test_an_ogg_file_that_breaks_off_is_played_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for subtype in ("VORBIS", "OPUS"):
        soundfile.write(tmp_path / "whole.ogg", noise(160000, 1), 16000, format="OGG", subtype=subtype)
        raw = (tmp_path / "whole.ogg").read_bytes()
        with open_source(str(tmp_path / "whole.ogg"), WANT):
            assert not caplog.records
        for left in (len(raw) // 2, raw.rindex(b"OggS"), len(raw) - 1):  # inside, behind and at the end of a page
            (tmp_path / "cut.ogg").write_bytes(raw[:left])
            with open_source(str(tmp_path / "cut.ogg"), WANT) as source:
                assert sum(len(block.samples) for block in blocks_of(source)) > 0
            (record,) = caplog.records
            assert "cut.ogg breaks off: its last page is not the end of an OGG stream" in record.getMessage()
            caplog.clear()


def test_a_flac_stream_of_unknown_length_is_played_to_its_end(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", noise(40000, 1), 16000)
    raw = bytearray((tmp_path / "a.flac").read_bytes())
    raw[21] &= 0xF0  # the 36 bits of STREAMINFO's total samples
    raw[22:26] = bytes(4)
    (tmp_path / "streamed.flac").write_bytes(raw)
    with open_source(str(tmp_path / "streamed.flac"), WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 40000


def test_channels_are_the_files_own(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(16000, 1), 16000)
    with pytest.raises(ConfigError, match="has 1 channel, and --channels says 2; leave --channels out"):
        open_source(str(tmp_path / "a.wav"), Wanted(16000, 1, 0.08, given_channels=2))


def test_a_name_may_be_any_bytes(tmp_path: Path) -> None:
    path = str(tmp_path / "caf\udce9.flac")  # Latin-1, as os.fsdecode gives it
    samples = noise(1600, 1)
    with open(path, "wb") as file:  # noqa: PTH123
        soundfile.write(file, samples, 16000, format="FLAC")
    with open_source(path, WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 1600
