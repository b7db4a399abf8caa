"""Recordings: WAV, FLAC and OGG, read by libsndfile block by block; and FLAC written."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterator

import numpy as np
import soundfile

from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block, Samples
from edge_res.session import exact_int16
from edge_res.sources import Wanted
from edge_res.sources.checks import check_any, check_channels, check_finite, check_given_channels, check_readable
from edge_res.sources.containers import breaks_off, goes_on, stated_start_us, wav_data, with_length

SoundFileError = soundfile.LibsndfileError  # what opening and reading raise of a file that is damaged or no sound
_UNKNOWN = 1 << 48  # libsndfile's count for a FLAC stream of unknown length is far beyond this
_PIECE = 1 << 16  # samples of such a stream that are read at once


def open_sound(path: str) -> soundfile.SoundFile:
    """Open a recording, and warn if its header declares less or more than it holds; all that is there is read."""
    warn = logging.getLogger("edge_res").warning
    data = wav_data(path)
    if data and data.rest:
        warn("%s ends inside a sample: the last %d of its %d bytes are ignored.", path, data.rest, data.sample)
    if data and data.untold:
        warn(
            "%s does not state its length: its recorder was killed, or wrote to a pipe; its %d bytes of whole "
            "samples are played.",
            path,
            data.held - data.rest,
        )
        return soundfile.SoundFile(with_length(path, data))
    if data and data.held < data.declared:
        warn(
            "%s breaks off: its header declares %d bytes of samples and %d are there (%.1f %%).",
            path, data.declared, data.held, 100 * data.held / data.declared,
        )  # fmt: skip
    if data and data.beyond:
        warn("%s holds %d bytes behind the samples that its header declares, which are not played.", path, data.beyond)
    if breaks_off(path):
        warn("%s breaks off: its last page is not the end of an OGG stream; what is there is played.", path)
    if goes_on(path):
        warn("%s holds several OGG streams one behind the other, and only the first is played; split it.", path)
    return soundfile.SoundFile(os.fsencode(path))  # a name may be no UTF-8


def read_sound(path: str, part: Callable[[int, int], tuple[int, int]] | None = None) -> tuple[Samples, int]:
    """A whole recording, float32 `(samples, channels)`, and its rate in Hz, even if its header declares less.

    `part` is given the number of samples and the rate, and returns the first and one past the last that are wanted.
    Raises `SoundFileError`, and what `part` raises.
    """
    with open_sound(path) as file:
        if file.frames >= _UNKNOWN:
            buffer = np.empty((_PIECE, file.channels), np.float32)
            pieces = [piece.copy() for piece in _pieces(file, buffer, path)]
            whole = np.concatenate([buffer[:0], *pieces])
            start, stop = part(len(whole), file.samplerate) if part else (0, len(whole))
            return whole[start:stop], file.samplerate
        start, stop = part(file.frames, file.samplerate) if part else (0, file.frames)
        file.seek(start)
        return file.read(stop - start, dtype="float32", always_2d=True), file.samplerate


def flac_of(samples: Samples, rate_hz: int) -> bytes:
    """A FLAC file of float32 `(samples, channels)`: 16 bits where these hold each sample to the bit, else 24."""
    packed = io.BytesIO()
    integers, subtype = exact_int16(samples), "PCM_16"
    if integers is None:
        wide = np.clip(np.rint(samples.astype(np.float64) * (1 << 23)), -(1 << 23), (1 << 23) - 1)
        integers, subtype = wide.astype(np.int32) << 8, "PCM_24"
    soundfile.write(packed, integers, rate_hz, format="FLAC", subtype=subtype)
    return packed.getvalue()


class AudioFile:
    """A recording; integer samples are scaled to ±1. Its blocks are views of one buffer.

    A WAV or OGG file that breaks off is played to where it does, with a warning; so is a WAV file whose header does not
    tell its length, and the first of several OGG streams in one file. Of a FLAC file without a length, as a pipe gives,
    an early end cannot be recognised.

    Raises `SourceError` for an unreadable file and for a FLAC file that breaks off, `SignalError` for
    samples that the model cannot listen to.
    """

    def __init__(self, path: str, want: Wanted, name: str | None = None) -> None:
        check_readable(path)
        try:
            self._file = open_sound(path)
        except SoundFileError as error:
            raise SourceError(
                f"{path} is not a readable audio file ({error.error_string.strip(' .')}); give a WAV, FLAC or OGG file."
            ) from None
        self.name = name or path
        self.unit = ""
        self.rate_hz = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        if want.given_rate_hz not in (None, self.rate_hz):
            raise ConfigError(
                f"{self.name} states that it has {self.rate_hz} Hz, and --rate says {want.given_rate_hz}; "
                "leave --rate out."
            )
        self._start_us = stated_start_us(path, str(self._file.copy_metadata().get("date", "")), self.rate_hz)
        check_given_channels(self.name, self.channels, want.given_channels)
        check_any(self.name, self._file.frames)
        check_channels(self.name, self.channels, want.channels, "pick some with --channel 0, or --channel mix")
        self._buffer = np.empty((want.recording_length(self.rate_hz), self.channels), np.float32)

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Block]:
        at = 0
        for samples in _pieces(self._file, self._buffer, self.name):
            check_finite(self.name, samples, at, self.rate_hz)
            yield Block(self.name, at, samples, time_us=self._time_us(at))
            at += len(samples)

    def _time_us(self, at: int) -> int | None:
        return None if self._start_us is None else self._start_us + round(1e6 * at / self.rate_hz)


def _pieces(file: soundfile.SoundFile, buffer: Samples, name: str) -> Iterator[Samples]:
    """A recording to its end, in views of `buffer`; raises `SourceError` where it ends early."""
    at = 0
    length = file.frames if file.frames < _UNKNOWN else None
    while length is None or at < length:
        if length is None:
            buffer.fill(np.nan)
        left = None if length is None else length - at  # what follows, such as titles, is not a sample
        try:
            samples = file.read(out=buffer[:left])
        except SoundFileError:
            # At the end of a stream of unknown length what was read is there, but not its number.
            samples = buffer[: 0 if length is not None else int(np.isfinite(buffer[:, 0]).sum())]
        if len(samples) == 0:
            if length is None:
                return
            raise SourceError(
                f"{name} breaks off after {at / file.samplerate:.1f} s of {length / file.samplerate:.1f} s; "
                "the file is damaged."
            )
        yield samples
        at += len(samples)
