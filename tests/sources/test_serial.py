"""Sensors on a serial line, here a pseudo-terminal: what is lost is counted, and what comes is right."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from edge_res.errors import SignalError, SourceError
from edge_res.flow import Block
from edge_res.sources import Wanted, open_source
from edge_res.sources.framing import NUMBERS, pack_frame
from edge_res.sources.serial_line import SerialLine
from tests.sources.board import Board, Heard, close, frames, signal, text, wait_for

WANT = Wanted(1000, 3, 0.08, give_up_s=30.0)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path / "sensor")
    board.plug()
    yield board
    board.close()


def open_line(board: Board, options: str = "", want: Wanted = WANT, buffer_s: float = 70.0) -> SerialLine:
    return SerialLine(f"serial:{board.path}?rate=1000&channels=3&format=binary{options}", want, buffer_s)


def damaged(data: list[bytes], share: float, seed: int) -> tuple[list[bytes], int]:
    """With a byte changed in that share of the frames, the first and the last left whole; and how many these are."""
    rng, frames = random.Random(seed), [bytearray(frame) for frame in data]
    hit = rng.sample(range(1, len(frames) - 1), round(share * len(frames)))
    for i in hit:
        frames[i][rng.randrange(len(frames[i]))] ^= rng.randrange(1, 256)
    return [bytes(frame) for frame in frames], len(hit)


def test_a_minute_with_a_frame_in_a_hundred_damaged(board: Board) -> None:
    sent, hit = damaged(frames(0, 60_000, 3), 0.01, seed=7)
    with open_line(board) as source:
        heard = Heard(source)
        board.send(b"".join(sent))
        heard.until(lambda heard: heard.received + heard.lost == 60_000)
    assert (hit, heard.lost, heard.received) == (60, 600, 59_400)
    heard.check_places()
    heard.check_signal()
    assert heard.named == []


def test_at_its_own_pace_nothing_is_lost_but_what_is_damaged(board: Board) -> None:
    sent, hit = damaged(frames(0, 3000, 3), 0.01, seed=8)

    def play() -> None:
        began_s = monotonic()
        for i, frame in enumerate(sent):
            sleep(max(0.0, began_s + i * 0.01 - monotonic()))
            board.send(frame)

    with open_line(board) as source:
        heard = Heard(source)
        player = threading.Thread(target=play)
        player.start()
        heard.until(lambda heard: heard.received + heard.lost == 3000)
        player.join()
    assert heard.lost == 10 * hit == 30
    heard.check_places()
    heard.check_signal()
    assert heard.named == []


def test_samples_from_before_the_start_are_dropped(board: Board) -> None:
    source = open_line(board)
    board.send(b"".join(frames(0, 100, 3)))
    sleep(0.1)  # a pseudo-terminal takes a moment
    with source:
        heard = Heard(source)
        board.send(b"".join(frames(100, 100, 3)))
        heard.until(lambda heard: heard.received == 100)
    heard.check_signal(offset=100)
    assert heard.lost == 0


def test_sequence_numbers_may_wrap(board: Board) -> None:
    first = NUMBERS - 500
    with open_line(board) as source:
        heard = Heard(source)
        sent = [pack_frame(first + at, signal(at, 10, 3)) for at in range(0, 1000, 10)]
        board.send(b"".join(sent[:49] + sent[51:]))
        heard.until(lambda heard: heard.received == 980)
    assert heard.gaps == [20]
    heard.check_signal()


@pytest.mark.parametrize("back", ["goes on", "restarted", "another"])
def test_unplugged_and_back(board: Board, back: str) -> None:
    with open_line(board) as source:
        heard = Heard(source)
        began_s = monotonic()
        board.send(b"".join(frames(0, 500, 3)))
        heard.until(lambda heard: heard.received == 500)
        last_s = monotonic()
        board.unplug()
        heard.until(lambda heard: heard.named == ["recovering"])
        sleep(0.3)
        board.plug()
        wait_for(lambda: source._port is not None)
        away = round(1000 * (monotonic() - last_s))
        first = {"goes on": 500 + away, "restarted": 0, "another": 6000}[back]
        board.send(b"".join(frames(first, 500, 3)))
        heard.until(lambda heard: heard.received == 1000)
        most = 1000 * (monotonic() - began_s)
    assert heard.named == ["recovering", "healthy"]
    assert heard.states[0].reason == f"serial:{board.path} is gone; it is opened again when it is back"
    if back == "goes on":
        assert heard.gaps == [first - 500]
        heard.check_signal()
    else:
        (gap,) = heard.gaps
        assert away - 20 <= gap <= most  # by the clock, less the first frame
    heard.check_places()


def test_a_path_that_leads_to_another_device_is_followed(board: Board) -> None:
    with open_line(board, "&alarm=0.2") as source:
        heard = Heard(source)
        board.send(b"".join(frames(0, 500, 3)))
        heard.until(lambda heard: heard.received == 500)
        other, before = Board(board.path), source._port
        other.plug()  # while the first is still open: no error tells
        heard.until(lambda _: source._port not in (None, before))
        other.send(b"".join(frames(0, 100, 3)))
        heard.until(lambda heard: heard.received == 600)
        close(other.fd)
    assert len(heard.gaps) == 1
    assert "recovering" in heard.named


def test_a_board_that_restarts_leaves_a_gap_by_the_clock(board: Board) -> None:
    with open_line(board) as source:
        heard = Heard(source)
        board.send(b"".join(frames(0, 500, 3)))
        heard.until(lambda heard: heard.received == 500)
        sleep(0.3)
        board.send(b"ets Jul 29 2019 12:21:46\r\nrst:0x1 (POWERON_RESET)\r\n")
        board.send(b"".join(frames(0, 500, 3)))
        heard.until(lambda heard: heard.received == 1000)
    (gap,) = heard.gaps
    assert 280 <= gap < 1000
    heard.check_places()


def test_silence_is_an_alarm_and_then_a_gap(board: Board) -> None:
    with open_line(board, "&alarm=0.3") as source:
        heard = Heard(source)
        board.send(b"".join(frames(0, 500, 3)))
        heard.until(lambda heard: heard.named == ["alarmed"])
        board.send(b"".join(frames(900, 100, 3)))
        heard.until(lambda heard: heard.received == 600)
    assert heard.named == ["alarmed", "healthy"]
    assert heard.states[0].at_s == 0.5
    assert heard.gaps == [400]
    heard.check_signal()


def test_a_failure_to_reopen_is_reported_once(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    with open_line(board) as source:
        heard = Heard(source)
        board.send(b"".join(frames(0, 10, 3)))
        heard.until(lambda heard: heard.received == 10)
        board.unplug()
        heard.until(lambda heard: heard.named == ["recovering"])
        board.path.write_bytes(b"no device")
        heard.until(lambda _: bool(caplog.messages))
        heard.listen(0.6)
        board.plug()
        wait_for(lambda: source._port is not None)
        board.send(b"".join(frames(0, 10, 3)))
        heard.until(lambda heard: heard.received == 20)
    assert caplog.messages[0] == f"{board.path} is not a serial port; give one as in serial:/dev/ttyUSB0?rate=1000."
    assert [" has restarted with number " in told for told in caplog.messages[1:]] == [True]


def test_a_device_that_does_not_come_back_is_given_up(board: Board) -> None:
    with open_line(board, want=Wanted(1000, 3, 0.08, give_up_s=0.6)) as source:
        heard = Heard(source)
        board.send(b"".join(frames(0, 10, 3)))
        heard.until(lambda heard: heard.received == 10)
        board.unplug()
        with pytest.raises(SourceError) as caught:
            heard.until(lambda _: False)
    assert str(caught.value).startswith(f"serial:{board.path} has delivered no sample for 0.")
    assert f"s and is given up: There is no device {board.path}; " in str(caught.value)


@pytest.mark.parametrize(("buffer_s", "lost"), [(3.0, 0), (0.5, 1500)])
def test_a_stalled_reader_loses_what_the_ring_cannot_hold(board: Board, buffer_s: float, lost: int) -> None:
    with open_line(board, buffer_s=buffer_s) as source:
        heard = Heard(source)
        board.send(b"".join(frames(0, 2000, 3)))  # 15 kB, four times what the kernel holds: the thread reads them
        ring = source._feed._ring
        wait_for(lambda: ring.available + ring.lost == 2000)
        heard.until(lambda heard: heard.received == 2000 - lost)
        board.send(b"".join(frames(2000, 10, 3)))
        heard.until(lambda heard: heard.received + heard.lost == 2010)
    assert heard.lost == lost
    heard.check_places()
    heard.check_signal()


def test_floats_scale_unit_and_values_that_are_not_finite(board: Board) -> None:
    values = np.arange(30, dtype=np.float32).reshape(10, 3)
    values[4, 1], values[5, 0], values[9, 2] = np.nan, np.inf, -np.inf
    with open_line(board, "&scale=0.25&unit=m/s%C2%B2") as source:
        assert (source.unit, source.name, source.channels) == ("m/s²", f"serial:{board.path}", 3)
        heard = Heard(source)
        board.send(pack_frame(0, values, "f") + pack_frame(10, np.ones((10, 3), np.int16)))
        heard.until(lambda heard: heard.received + heard.lost == 20)
    assert heard.gaps == [2, 1]
    came = np.concatenate([samples for _, _, samples in heard.blocks])
    np.testing.assert_array_equal(came[:7], 0.25 * values[[0, 1, 2, 3, 6, 7, 8]])
    np.testing.assert_array_equal(came[7:], np.full((10, 3), 0.25))


def test_a_frame_of_other_channels_ends_it(board: Board) -> None:
    with open_line(board) as source:
        heard = Heard(source)
        board.send(frames(0, 10, 2)[0])
        with pytest.raises(SignalError) as caught:
            heard.until(lambda _: False)
    assert str(caught.value) == (
        f"serial:{board.path} sends 2 channels, expected 3; set channels=2, and pick with --channel if the model "
        "needs fewer."
    )


def test_bytes_without_a_frame_are_reported_once(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    with open_line(board, "&alarm=0.2") as source:
        heard = Heard(source)
        board.send(text(0, 6000, 3))
        heard.until(lambda heard: heard.named == ["alarmed"] and bool(caplog.messages))
        board.send(text(0, 6000, 3))
        board.send(frames(0, 10, 3)[0])
        heard.until(lambda heard: heard.received == 10)
    (told,) = caplog.messages
    assert told.startswith(f"serial:{board.path} has sent ")
    assert "bytes without a binary frame, the last ones b'" in told
    assert told.endswith("; check baud= and format=.")


def test_the_rate_is_measured_and_reported(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()

    def play() -> None:
        began_s, at = monotonic(), 0
        while not ended.is_set():
            sleep(0.01)
            board.send(b"".join(frames(at, (n := int(416 * (monotonic() - began_s)) - at) // 10 * 10, 3)))
            at += n // 10 * 10

    player = threading.Thread(target=play)
    player.start()
    source = open_source(f"serial:{board.path}?rate=measure&channels=3&format=binary", WANT)
    try:
        assert source.rate_hz == pytest.approx(416, rel=0.1)  # a busy machine is late; test_sensor.py is exact
        with source:
            block = next(item for item in source if isinstance(item, Block) and len(item.samples))
            assert block.at == 0
    finally:
        ended.set()
        player.join()
    assert f"using a rate of {source.rate_hz} Hz" in caplog.messages[0]
