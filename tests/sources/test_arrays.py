"""NumPy arrays and CSV files."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_res.errors import ConfigError, EdgeResError, SignalError, SourceError
from edge_res.flow import Samples
from edge_res.sources import Wanted, open_source
from edge_res.sources.playlist import Playlist
from tests.sources.blocks import blocks_of


def want(channels: int) -> Wanted:
    return Wanted(1000, channels, block_s=0.05, given_rate_hz=500)


def everything(path: Path, channels: int) -> Samples:
    """All samples of a source whose blocks are as they should be."""
    with open_source(str(path), want(channels)) as source:
        assert (source.name, source.rate_hz, source.channels) == (str(path), 500, channels)
        blocks, end = [], 0
        for block in blocks_of(source):
            assert (block.source, block.at, block.lost) == (str(path), end, 0)
            assert block.samples.dtype == np.float32
            assert block.samples.flags.c_contiguous
            assert 0 < len(block.samples) <= 25
            blocks.append(block.samples)
            end += len(block.samples)
    return np.concatenate(blocks)


@pytest.mark.parametrize(
    "dtype", ["<f4", ">f4", "f8", "f2", "i1", "u1", "<i2", ">i2", "u2", "i4", "u4", "i8", "u8", "g"]
)
def test_numpy_of_any_real_dtype(tmp_path: Path, dtype: str) -> None:
    for shape in ((103,), (103, 1), (103, 3), (25,)):
        values = np.random.default_rng(0).integers(0 if "u" in dtype else -100, 100, shape).astype(dtype)
        for order in (values, np.asfortranarray(values)):
            np.save(tmp_path / "sensor.npy", order)
            samples = everything(tmp_path / "sensor.npy", 3 if shape[1:] == (3,) else 1)
            np.testing.assert_array_equal(samples, values.reshape(len(values), -1))


def test_a_large_file_is_never_loaded_whole(tmp_path: Path) -> None:
    np.save(tmp_path / "sensor.npy", np.zeros((1_000_000, 1)))
    np.savetxt(tmp_path / "sensor.csv", np.zeros(100_000), fmt="%.18e")
    for name, length in (("sensor.npy", 1_000_000), ("sensor.csv", 100_000)):
        tracemalloc.start()
        with open_source(str(tmp_path / name), want(1)) as source:
            assert sum(len(block.samples) for block in blocks_of(source)) == length
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 300_000


CSV = {
    "commas": "1,2.5\n-3,4e1\n5,6\n",
    "semicolons": "1;2.5\n-3;4e1\n5;6\n",
    "spaces": "  1 2.5\n-3\t  4e1\n5 6",
    "comma and space": "1, 2.5\n-3 , 4e1\n5,6\n",
    "names": "x,y\n1,2.5\n-3,4e1\n5,6\n",
    "quoted names with other separators": '"x (m, s)" "y"\n1;2.5\n-3;4e1\n5;6\n',
    "as numpy.savetxt": "# x y\n1.0e+00 2.5\n-3 4e1\n5 6\n",
    "empty lines, CRLF and a mark of UTF-8": "\ufeff\r\nx,y\r\n\r\n1,2.5\r\n-3,4e1\r\n\r\n5,6\r\n\r\n",
}


@pytest.mark.parametrize("text", CSV.values(), ids=CSV)
def test_csv_dialects(tmp_path: Path, text: str) -> None:
    (tmp_path / "sensor.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(everything(tmp_path / "sensor.csv", 2), [[1, 2.5], [-3, 40], [5, 6]])


@pytest.mark.parametrize("lines", [1, 24, 25, 26, 50, 103])
@pytest.mark.parametrize("channels", [1, 3])
def test_csv_of_any_length(tmp_path: Path, lines: int, channels: int) -> None:
    values = np.random.default_rng(lines).standard_normal((lines, channels)).astype(np.float32)
    np.savetxt(tmp_path / "sensor.csv", values, fmt="%.9g", delimiter=",")
    np.testing.assert_array_equal(everything(tmp_path / "sensor.csv", channels), values)


def refused(path: Path, channels: int = 1) -> EdgeResError:
    with pytest.raises(EdgeResError) as caught:
        everything(path, channels)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["sensor.npy", "sensor.csv"])
def test_the_rate_must_be_given(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"has no sample rate; give it in Hz, for example --rate 1000\.$"):
        open_source(str(tmp_path / name), Wanted(1000, 1, 0.05))


@pytest.mark.parametrize("name", ["sensor.npy", "sensor.csv"])
def test_channels_are_those_of_the_file(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "sensor.npy", np.zeros(100))
    (tmp_path / "sensor.csv").write_text("1.5\n" * 100)
    with pytest.raises(ConfigError, match="has 1 channel, but --channels says 2; leave --channels out"):
        open_source(str(tmp_path / name), Wanted(1000, 1, 0.05, given_rate_hz=500, given_channels=2))
    with open_source(str(tmp_path / name), Wanted(1000, 1, 0.05, given_rate_hz=500, given_channels=1)) as source:
        assert (source.channels, source.unit) == (1, "raw")  # not audio, of which full scale is ±1


@pytest.mark.parametrize("name", ["none.npy", "none.csv"])
def test_a_missing_file_and_a_folder_of_that_name(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path / name)
    assert (type(error), str(error)) == (SourceError, f"There is no file {tmp_path / name}; check the path.")
    (tmp_path / name).mkdir()
    np.save(tmp_path / name / "1.npy", np.zeros(100))
    with open_source(str(tmp_path / name), Wanted(1000, 1, 0.05, given_rate_hz=500)) as source:
        assert isinstance(source, Playlist)  # whatever a folder is called


ARRAYS: dict[str, tuple[NDArray[Any], type[EdgeResError], str]] = {
    "objects": (np.array([{}, {}]), SourceError, "is not a readable NumPy array"),
    "complex": (np.zeros(5, "c8"), SignalError, "holds complex64 of shape (5,); expected real numbers of shape"),
    "truth values": (np.zeros(5, bool), SignalError, "holds bool of shape (5,)"),
    "text": (np.array(["a"]), SignalError, "holds <U1 of shape (1,)"),
    "structured": (np.zeros(5, [("x", "f4")]), SignalError, "holds [('x', '<f4')] of shape (5,); expected"),
    "no dimension": (np.array(1.0), SignalError, "holds float64 of shape (); expected"),
    "three dimensions": (np.zeros((2, 2, 2)), SignalError, "holds float64 of shape (2, 2, 2); expected"),
    "no samples": (np.zeros(0), SignalError, "holds 0 samples; there is nothing to listen to."),
    "no samples of a channel": (np.zeros((0, 1)), SignalError, "holds 0 samples"),
    "no channels": (np.zeros((5, 0)), SignalError, "has 0 channels, but the model expects 1"),
    "channels first": (np.zeros((1, 5)), SignalError, "has 5 channels, but the model expects 1; axis 0 must"),
    "NaN": (np.r_[np.zeros(100), np.nan], SignalError, "holds NaN at 0.200 s; a sample must be a finite 32-bit number"),
    "too large": (
        np.r_[np.zeros(100), -1e39],
        SignalError,
        "holds infinity at 0.200 s; a sample must be a finite",
    ),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_are_not_a_signal(tmp_path: Path, case: str) -> None:
    values, kind, sentence = ARRAYS[case]
    path = tmp_path / "sensor.npy"
    np.save(path, values)
    error = refused(path)
    assert type(error) is kind
    assert str(error).startswith(f"{path} {sentence}")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"\x80\x04K\x01."])
def test_files_that_are_not_arrays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sensor.npy"
    path.write_bytes(content)
    error = refused(path)
    assert type(error) is SourceError
    assert str(error).startswith(f"{path} is not a readable NumPy array, or is truncated; write it")


def test_a_truncated_array_and_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "sensor.npy"
    np.save(path, np.zeros(100))
    path.write_bytes(path.read_bytes()[:-1])
    assert type(refused(path)) is SourceError
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))
    assert type(refused(path)) is SourceError


LINES = {
    "a word": (
        "1\n2\nthree\n4\n",
        1,
        "Line 3 of {} is 'three'; expected 1 number such as 1.5, separated by white",
    ),
    "a word in a row": ("1,2\n3,x\n", 2, "Line 2 of {} is '3,x'; expected 2 numbers such as 1.5, separated by ,."),
    "a column too few": ("a;b\n\n1;2\n3\n", 2, "Line 4 of {} is '3'; expected 2 numbers such as 1.5, separated by ;."),
    "a column too many": ("1 2\n3 4 5\n", 2, "Line 2 of {} is '3 4 5'; expected 2 numbers"),
    "an empty field": ("1,2\n3,\n", 2, "Line 2 of {} is '3,'; expected 2 numbers"),
    "NaN": ("1\nnan\n", 1, "Line 2 of {} is 'nan'; expected 1 number"),
    "NaN at once": ("nan\n1\n", 1, "Line 1 of {} is 'nan'; expected 1 number"),
    "infinite": ("1\n1e999\n", 1, "Line 2 of {} is '1e999'; expected 1 number"),
    "names twice": ("a\nb\n1\n", 1, "Line 2 of {} is 'b'; expected 1 number"),
    "half names": ("a,1\n1,1\n", 2, "Line 1 of {} is 'a,1'; expected 2 numbers"),
    "a long line": ("1\n" + "x" * 999, 1, "Line 2 of {} is '" + "x" * 60 + "'; expected 1 number"),
    "no UTF-8": ("1\n\udcff\n", 1, "Line 2 of {} is '\ufffd'; expected 1 number"),
    "other channels": ("1,2\n", 3, "{} has 2 channels, but the model expects 3; keep one column"),
    "nothing": ("", 1, "{} holds 0 samples; there is nothing to listen to."),
    "only names": ("x,y\n# 1,2\n\n", 2, "{} holds 0 samples; there is nothing to listen to."),
    "too large": ("1\n1e39\n", 1, "{} holds infinity at 0.002 s; a sample must be a finite 32-bit number"),
}


@pytest.mark.parametrize("case", LINES)
def test_lines_that_are_not_a_signal(tmp_path: Path, case: str) -> None:
    text, channels, sentence = LINES[case]
    path = tmp_path / "sensor.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))
    error = refused(path, channels)
    assert type(error) is SignalError
    assert str(error).startswith(sentence.format(path))


@pytest.mark.parametrize("last", ["5", "5,", "5,-", "5,1.5e", "5,1e+"])
def test_an_incomplete_last_line_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture, last: str) -> None:
    path = tmp_path / "sensor.csv"
    path.write_text(f"1,2\n3,4\n{last}")
    np.testing.assert_array_equal(everything(path, 2), [[1, 2], [3, 4]])
    assert caplog.messages == [f"{path} ends in the middle of a sample; its last line, {last!r}, is ignored."]
    path.write_text(f"1,2\n3,4\n{last}\n")
    assert type(refused(path, 2)) is SignalError  # a whole line that is none
