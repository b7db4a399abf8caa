"""A folder of recordings to calibrate with: what is refused, and how windows are spread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import DataError
from edge_res.export.datasets.calibration import frames_of_folder, windows_of
from edge_res.export.training.settings import Spectrogram

PARAMS = Spectrogram().params()
SECOND = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)


def zipped(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, SECOND)


def nan_wav(path: Path) -> None:
    samples = SECOND.copy()
    samples[100] = np.nan
    soundfile.write(path, samples, 16000, subtype="FLOAT")


@pytest.mark.parametrize(
    ("name", "write", "part"),
    [
        ("zipped.npy", zipped, "cannot be read as a recording"),
        ("number.npy", lambda path: np.save(path, np.float32(1)), "cannot be read as a recording"),
        ("objects.npy", lambda path: np.save(path, np.array([None])), "cannot be read as a recording"),
        ("text.npy", lambda path: path.write_text("hello"), "cannot be read as a recording"),
        ("empty.npy", lambda path: path.touch(), "cannot be read as a recording"),
        ("cut.npy", lambda path: path.write_bytes(b"PK\x03\x04 cut"), "cannot be read as a recording"),
        ("words.npy", lambda path: np.save(path, np.array(["a"])), "cannot be read as a recording"),
        ("image.npy", lambda path: np.save(path, np.zeros((9, 4, 4))), "has 16 channels at 16000 Hz"),
        ("nan.wav", nan_wav, "holds samples that are NaN or infinite"),
        ("inf.npy", lambda path: np.save(path, np.full(800, np.inf)), "holds samples that are NaN or infinite"),
        ("text.wav", lambda path: path.write_text("hello"), "cannot be read as a recording"),
    ],
)
def test_a_file_that_is_not_a_recording_is_named(
    tmp_path: Path, name: str, write: Callable[[Path], None], part: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=part) as raised:
        frames_of_folder(tmp_path, PARAMS, 8)
    assert str(raised.value).startswith(str(tmp_path / name))


def test_windows_are_spread_over_all_recordings(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SECOND)
    soundfile.write(tmp_path / "b.flac", SECOND, 16000)
    stream = frames_of_folder(tmp_path, PARAMS, 8)
    assert stream.shape == (198, 40, 1)  # of two seconds
    windows = windows_of(stream, 40, tmp_path)
    assert windows.shape == (159, 40, 40, 1)
    np.testing.assert_array_equal(windows[[0, -1]], [stream[:40], stream[-40:]])
    with pytest.raises(DataError, match="give 198 frames and a window needs 199; add more"):
        windows_of(stream, 199, tmp_path)
