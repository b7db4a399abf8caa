"""Raw PCM through real pipes."""

from __future__ import annotations

import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_res.errors import ConfigError, SignalError, SourceError
from edge_res.flow import Samples
from edge_res.sources import Wanted, open_source
from edge_res.sources.pcm import RawPcm

WANT = Wanted(16000, 1, block_s=0.01)


@contextmanager
def pipe(write: Callable[[int], None]) -> Iterator[int]:
    """The reading end of a pipe into which a thread writes."""
    reading, writing = os.pipe()

    def run() -> None:
        with suppress(BrokenPipeError):
            write(writing)
        os.close(writing)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


def everything(data: bytes, want: Wanted, pieces: list[int] | None = None) -> list[tuple[int, Samples]]:
    """The blocks of `data` when it is written in pieces of these lengths, used in turn."""

    def write(fd: int) -> None:
        at = i = 0
        while at < len(data):
            length = pieces[i % len(pieces)] if pieces else len(data)
            at += os.write(fd, data[at : at + length])
            i += 1

    with pipe(write) as fd, RawPcm("-", want, fd) as source:
        return [(block.at, block.samples.copy()) for block in source]


@settings(max_examples=60)
@given(
    pcm_format=st.sampled_from(["s16le", "f32le"]),
    channels=st.integers(1, 3),
    n=st.integers(1, 700),
    pieces=st.lists(st.integers(1, 900), min_size=1, max_size=5),
)
def test_any_split_of_the_bytes_gives_the_samples(pcm_format: str, channels: int, n: int, pieces: list[int]) -> None:
    rng = np.random.default_rng(n)
    if pcm_format == "s16le":
        coded = rng.integers(-32768, 32768, (n, channels)).astype("<i2")
        expected = coded / np.float32(32768)
    else:
        coded = expected = rng.standard_normal((n, channels)).astype("<f4")
    want = Wanted(16000, channels, 0.01, pcm_format=pcm_format)
    blocks = everything(coded.tobytes(), want, pieces)
    assert [at for at, _ in blocks] == np.cumsum([0, *(len(samples) for _, samples in blocks[:-1])]).tolist()
    assert all(len(samples) <= 160 for _, samples in blocks)
    whole = np.concatenate([samples for _, samples in blocks])
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole, expected)


def test_what_has_arrived_is_delivered_at_once() -> None:
    """The writer goes on only when the reader has what was written: waiting for a whole block would hang."""
    heard = threading.Semaphore(0)
    hung: list[int] = []

    def write(fd: int) -> None:
        for i in range(20):
            os.write(fd, np.full(3, i, "<i2").tobytes())
            if not heard.acquire(timeout=10):
                hung.append(i)
                return

    with pipe(write) as fd, RawPcm("-", WANT, fd) as source:
        blocks = []
        for block in source:
            blocks.append((block.at, (block.samples[:, 0] * 32768).tolist()))
            heard.release()
    assert not hung
    assert blocks == [(3 * i, [i] * 3) for i in range(20)]


class CountedReads(io.FileIO):
    reads = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        CountedReads.reads += 1
        return super().readinto(buffer)


@pytest.mark.parametrize("blocking", [True, False])
def test_waiting_is_not_asking_again_and_again(blocking: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountedReads, "reads", 0)
    monkeypatch.setattr(io, "FileIO", CountedReads)
    go_on = threading.Event()

    def write(fd: int) -> None:
        for _ in range(2):
            go_on.wait()
            time.sleep(0.1)
            os.write(fd, bytes(6))

    with pipe(write) as fd, RawPcm("-", WANT, fd) as source:
        os.set_blocking(fd, blocking)
        go_on.set()
        assert sum(len(block.samples) for block in source) == 6
    assert 3 <= CountedReads.reads <= 6


def test_rate_and_channels_are_the_users_or_the_models() -> None:
    with pipe(lambda fd: None) as fd:
        given = RawPcm("-", Wanted(16000, 2, 0.01, given_rate_hz=44100, given_channels=2), fd)
        assert (given.name, given.rate_hz, given.channels) == ("-", 44100, 2)
        models = RawPcm("-", Wanted(16000, 3, 0.01), fd)
        assert (models.rate_hz, models.channels) == (16000, 3)
        with pytest.raises(SignalError, match=r"stdin has 2 channels and the model listens to 1 channel; convert"):
            RawPcm("-", Wanted(16000, 1, 0.01, given_channels=2), fd)
        with pytest.raises(ConfigError, match="no PCM format 'u8'; known are s16le, f32le"):
            RawPcm("-", Wanted(16000, 1, 0.01, pcm_format="u8"), fd)


@pytest.mark.parametrize("left_over", [1, 2, 3])
def test_a_truncated_last_sample_is_a_warning(left_over: int, caplog: pytest.LogCaptureFixture) -> None:
    want = Wanted(16000, 2, 0.01)
    with caplog.at_level(logging.WARNING, "edge_res"):
        blocks = everything(bytes(400 + left_over), want)
    assert sum(len(samples) for _, samples in blocks) == 100
    assert caplog.messages == [
        f"stdin ended inside a sample: the last {left_over} of its 4 bytes are ignored.",
    ]


def test_a_whole_last_sample_is_none(caplog: pytest.LogCaptureFixture) -> None:
    everything(bytes(400), WANT)
    assert not caplog.messages


@pytest.mark.parametrize("data", [b"", b"x"])
def test_nothing_is_no_signal(data: bytes) -> None:
    with pytest.raises(SignalError, match=r"^stdin holds 0 samples; there is nothing to listen to\.$"):
        everything(data, WANT)


def test_what_is_no_number_is_told_with_its_place() -> None:
    samples = np.zeros(16000, "<f4")
    samples[4000] = np.nan
    with pytest.raises(SignalError, match=r"^stdin holds NaN at 0\.250 s; a sample must be a number"):
        everything(samples.tobytes(), Wanted(16000, 1, 0.01, pcm_format="f32le"))


def test_stdin_that_cannot_be_read(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(SourceError, match=r"^stdin cannot be read: Is a directory\.$"):
        RawPcm("-", WANT, folder)
    os.close(folder)
    with pytest.raises(SourceError, match=r"^stdin cannot be read: Bad file descriptor\.$"):
        RawPcm("-", WANT, folder)


def test_stdin_that_fails_later() -> None:
    terminal, program = os.openpty()
    os.dup2(os.memfd_create("not a terminal"), moved := os.dup(program))
    source = RawPcm("-", WANT, moved)
    os.dup2(terminal, moved)  # reading a terminal that nobody holds any more is an error
    os.close(terminal)
    os.close(program)
    with source, pytest.raises(SourceError, match=r"^stdin cannot be read any more: Input/output error\.$"):
        next(iter(source))
    os.close(moved)


def test_a_terminal_is_no_source_of_samples() -> None:
    terminal, program = os.openpty()
    with pytest.raises(ConfigError, match=r"^- reads raw PCM and stdin is a terminal; pipe samples into it"):
        RawPcm("-", WANT, program)
    os.close(terminal)
    os.close(program)


def test_a_dash_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe(lambda fd: None) as fd:
        before = os.dup(0)
        os.dup2(fd, 0)
        try:
            assert isinstance(open_source("-", WANT), RawPcm)
        finally:
            os.dup2(before, 0)
            os.close(before)
