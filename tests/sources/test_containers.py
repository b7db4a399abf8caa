"""Containers that tell less or more than they hold: WAV, OGG and FLAC files that were cut, joined or streamed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_res.errors import SignalError, SourceError
from edge_res.sources import open_source
from tests.sources.blocks import blocks_of
from tests.sources.test_files import STEREO, WANT, noise, refused


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
    assert "killed.wav does not state its length" in record.getMessage()
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
    assert "a.wav does not state its length" in told
    assert capfd.readouterr().err == ""  # libsndfile looks behind the end, for the next chunk


@pytest.mark.parametrize("behind", [b"LIST\4\0\0\0abcd", b"id3 \0\0\0\0", bytes(7)])
def test_chunks_behind_the_samples_of_a_wav_file_are_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, behind: bytes
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(16000, 1), 16000, subtype="PCM_16")
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes() + behind)
    with open_source(str(tmp_path / "a.wav"), WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 16000
    assert not caplog.messages


def test_samples_behind_those_that_a_wav_file_declares_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(16000, 1), 16000, subtype="PCM_16")
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    (tmp_path / "a.wav").write_bytes(raw + raw)
    assert type(refused(tmp_path / "a.wav")) is SourceError  # libsndfile does not take what was joined
    raw[40:44] = struct.pack("<I", 2000)  # as of 4 GiB and 2000 bytes
    (tmp_path / "a.wav").write_bytes(raw)
    with open_source(str(tmp_path / "a.wav"), WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 1000
    behind = "bytes behind the samples that its header declares, which are not played."
    assert caplog.messages == [f"{tmp_path}/a.wav holds {count} {behind}" for count in (32044, 30000)]


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


def test_of_several_ogg_streams_in_a_file_the_others_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    joined = b""
    for i, subtype in enumerate(["VORBIS", "OPUS"]):
        soundfile.write(tmp_path / "a.ogg", noise(48000 + i, 1), 16000, format="OGG", subtype=subtype)
        joined += (tmp_path / "a.ogg").read_bytes()
    for behind, streams in ((b"", 2), (joined, 4)):
        (tmp_path / "joined.ogg").write_bytes(joined + behind)
        with open_source(str(tmp_path / "joined.ogg"), WANT) as source:
            assert sum(len(block.samples) for block in blocks_of(source)) == 48000, streams
        (told,) = caplog.messages
        assert told.endswith(
            "joined.ogg holds several OGG streams one behind the other, and only the first is played; split it."
        )
        caplog.clear()


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.wav"])
def test_titles_behind_the_samples_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    soundfile.write(tmp_path / name, noise(80000, 1), 16000)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"TAG" + bytes(125))  # ID3v1
    with open_source(str(tmp_path / name), WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 80000
    assert not caplog.messages


def test_a_flac_stream_of_unknown_length_is_played_to_its_end(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", noise(40000, 1), 16000)
    raw = bytearray((tmp_path / "a.flac").read_bytes())
    raw[21] &= 0xF0  # the 36 bits of STREAMINFO's total samples
    raw[22:26] = bytes(4)
    (tmp_path / "streamed.flac").write_bytes(raw)
    with open_source(str(tmp_path / "streamed.flac"), WANT) as source:
        assert sum(len(block.samples) for block in blocks_of(source)) == 40000
