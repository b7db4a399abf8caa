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
from edge_res.flow import Health, Samples
from edge_res.sources import Wanted, open_source
from edge_res.sources.pcm import LivePace, RawPcm
from tests.sources.blocks import blocks_of

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
        return [(block.at, block.samples.copy()) for block in blocks_of(source)]


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
        for block in blocks_of(source):
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
        assert sum(len(block.samples) for block in blocks_of(source)) == 6
    assert 3 <= CountedReads.reads <= 6


def test_rate_and_channels_are_the_users_or_the_models() -> None:
    with pipe(lambda fd: None) as fd:
        given = RawPcm("-", Wanted(16000, 2, 0.01, given_rate_hz=44100, given_channels=2), fd)
        assert (given.name, given.rate_hz, given.channels) == ("-", 44100, 2)
        models = RawPcm("-", Wanted(16000, 3, 0.01), fd)
        assert (models.rate_hz, models.channels) == (16000, 3)
        with pytest.raises(SignalError, match=r"stdin has 2 channels, but the model expects 1; convert"):
            RawPcm("-", Wanted(16000, 1, 0.01, given_channels=2), fd)
        with pytest.raises(ConfigError, match="no PCM format 'u8'; use one of s16le, f32le"):
            RawPcm("-", Wanted(16000, 1, 0.01, pcm_format="u8"), fd)


def test_a_pipe_that_may_have_any_channels_must_be_told_them() -> None:
    with pipe(lambda fd: None) as fd:
        assert RawPcm("-", Wanted(16000, None, 0.01, given_channels=2), fd).channels == 2
        with pytest.raises(
            ConfigError, match=r"^Raw PCM on stdin does not state its number of channels; give them with"
        ):
            RawPcm("-", Wanted(16000, None, 0.01), fd)


def test_a_pipe_in_which_nothing_comes_is_alarmed_and_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_res.sources.pcm.ALARM_S", 0.6)
    go_on = threading.Event()

    def write(fd: int) -> None:
        os.write(fd, bytes(201))
        go_on.wait(10)
        os.write(fd, bytes(199))

    empty = 0
    told = []
    with pipe(write) as fd, RawPcm("-", WANT, fd) as source:
        for item in source:
            if isinstance(item, Health):
                told.append((item.state, item.at_s))
                assert item.state == "healthy" or empty >= 2
                go_on.set()
            elif not len(item.samples):
                empty += 1
                assert item.at == 100
    assert told == [("alarmed", 100 / 16000), ("healthy", 100 / 16000)]
    assert empty < 10


def test_a_pipe_in_which_nothing_comes_is_given_up_where_that_was_asked_for() -> None:
    over = threading.Event()

    def write(fd: int) -> None:
        over.wait(20)

    given_up = r"^stdin has delivered no sample for 0\.[3-9] s and is given up: see what writes it\.$"
    with pipe(write) as fd, RawPcm("-", Wanted(16000, 1, 0.01, give_up_s=0.3), fd) as source:
        with pytest.raises(SourceError, match=given_up):
            list(source)
        over.set()


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def told_of(rate_hz: int, piece: int, every_s: float, busy_s: float = 0.0, stalls: tuple[int, ...] = ()) -> list[str]:
    """What is told of 30 s of a pipe that gives a piece at a time, to a reader who works `busy_s` on each."""
    clock = Clock()
    pace, told = LivePace(rate_hz, clock), []
    for i in range(round(30 / every_s)):
        clock.now_s += busy_s
        pace.waits()
        clock.now_s += every_s - busy_s + 5.0 * (i in stalls)
        told += list(pace.read(piece if i else 10 * piece))  # what had waited in the pipe comes first
    return told


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100])
def test_a_live_pipe_at_another_pace_is_told_once_with_the_figure(rate_hz: int) -> None:
    (told,) = told_of(16000, rate_hz // 10, 0.1)
    assert told == (f"stdin delivers {rate_hz:.4g} samples a second instead of 16000; give the true one with --rate.")


def test_nothing_is_told_of_the_pace_of_a_right_pipe_a_stalling_one_or_a_file() -> None:
    assert told_of(16000, 1600, 0.1) == []
    assert told_of(16000, 1640, 0.1) == []
    assert told_of(16000, 1600, 0.1, stalls=(55, 100, 140, 200)) == []
    assert told_of(16000, 1600, 0.001, busy_s=0.0009) == []  # as fast as it is read


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
    with pytest.raises(SignalError, match=r"^stdin holds NaN at 0\.250 s; a sample must be a finite 32-bit number"):
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
