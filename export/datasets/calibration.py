"""Windows to calibrate with, from a folder of recordings."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import soundfile

from edge_res.errors import DataError
from edge_res.flow import Frames, Samples
from edge_res.signal.frontend import FrontEndParams, compute_frames

CALIBRATION_WINDOWS = 512
_AUDIO = (".wav", ".flac", ".ogg")
# What numpy and soundfile raise on files that they cannot read.
_UNREADABLE = (
    soundfile.LibsndfileError, OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile
)  # fmt: skip


def frames_of_folder(folder: Path, params: FrontEndParams, hop: int) -> Frames:
    """The frames of all recordings in a folder (WAV, FLAC, OGG or `.npy`), joined to one stream."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (*_AUDIO, ".npy"))
    if not paths:
        raise DataError(f"There are no recordings in {folder}; put WAV, FLAC, OGG or .npy files there.")
    return compute_frames(params, np.concatenate([samples_of(path, params) for path in paths]), hop)


def samples_of(path: Path, params: FrontEndParams) -> Samples:
    """The samples of one recording, which must have the front-end's rate and channels."""
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                samples, rate_hz = np.load(file, allow_pickle=False).astype(np.float32), params.sample_rate_hz
            samples = samples.reshape(len(samples), -1)
        else:
            samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except _UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read as a recording ({str(error).rstrip('.')}); expected a sound file, or "
            "a .npy file with one array of samples."
        ) from None
    if (samples.shape[1], rate_hz) != (params.channels, params.sample_rate_hz):
        raise DataError(
            f"{path} has {samples.shape[1]} channels at {rate_hz} Hz; the front-end takes {params.channels} at "
            f"{params.sample_rate_hz} Hz."
        )
    if not np.isfinite(samples).all():
        raise DataError(f"{path} holds samples that are NaN or infinite; remove it or record it again.")
    recording: Samples = samples
    return recording


def windows_of(stream: Frames, frames: int, folder: Path) -> Frames:
    """Windows `(n, frames, bins, channels)` spread evenly over a stream of frames, which came from `folder`."""
    if len(stream) < frames:
        raise DataError(f"The recordings in {folder} give {len(stream)} frames and a window needs {frames}; add more.")
    starts = np.linspace(0, len(stream) - frames, min(CALIBRATION_WINDOWS, len(stream) - frames + 1)).astype(int)
    return np.stack([stream[start : start + frames] for start in starts])
