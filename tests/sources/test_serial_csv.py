"""Boards that print lines of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from edge_res.errors import SignalError
from edge_res.sources import Wanted, open_source
from edge_res.sources.serial_line import SerialLine
from tests.sources.board import Board, Heard, text, wait_for

WANT = Wanted(1000, 3, 0.08, give_up_s=30.0)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path / "sensor")
    board.plug()
    yield board
    board.close()


def open_line(board: Board, options: str = "") -> SerialLine:
    return SerialLine(f"serial:{board.path}?rate=1000&channels=3{options}", WANT, buffer_s=70.0)


def test_a_greeting_is_ignored_and_bad_lines_are_lost_samples(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    sent = text(0, 2000, 3).split(b"\n")
    for i, line in enumerate([b"12,", b"x,y,z", b"3,,3", b"1,2,3,4", b"\xff\x00,1,2", b"nan,1,2", b""]):
        sent[100 * (i + 1)] = line
    sent[900] = b"# " + sent[900]
    with open_line(board) as source:
        heard = Heard(source)
        board.send(b"\x00st\r\nMPU-6050 found\r\nrange 2 g\r\n" + b"\n".join(sent))
        heard.until(lambda heard: heard.received + heard.lost == 1998)  # the empty line and the comment are none
    assert heard.gaps == [1] * 6
    (told,) = caplog.messages
    assert told == f"serial:{board.path} began with lines that are not samples; ignored: MPU-6050 found / range 2 g"
    heard.check_places()
    for at, _, samples in heard.blocks:
        if at + len(samples) <= 700:
            assert samples[:, 0].tolist() == list(range(at, at + len(samples)))


def test_unplugged_and_back_is_a_gap_by_the_clock(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    with open_line(board) as source:
        heard = Heard(source)
        began_s = monotonic()
        board.send(b"\n" + text(0, 500, 3))
        heard.until(lambda heard: heard.received == 500)
        last_s = monotonic()
        board.unplug()
        heard.until(lambda heard: heard.named == ["recovering"])
        board.plug()
        wait_for(lambda: source._port is not None)
        least = 1000 * (monotonic() - last_s)
        board.send(b"rest\nhello\n" + text(0, 20, 3))
        heard.until(lambda heard: heard.received == 520)
        most = 1000 * (monotonic() - began_s)
    (gap,) = heard.gaps
    assert least - 30 <= gap <= most  # by the clock, less the 20 samples
    assert heard.named == ["recovering", "healthy"]
    assert caplog.messages == [f"serial:{board.path} began with lines that are not samples; ignored: hello"]


def test_a_silence_is_a_gap_by_the_clock(board: Board) -> None:
    with open_line(board, "&alarm=0.5") as source:
        heard = Heard(source)
        board.send(b"\n" + text(0, 500, 3))
        heard.until(lambda heard: heard.received == 500)
        sleep(0.1)
        board.send(text(0, 10, 3))  # as late as this nothing is known to be missing
        heard.until(lambda heard: heard.received == 510)
        assert heard.lost == 0
        heard.until(lambda heard: heard.named == ["alarmed"])
        board.send(text(0, 10, 3))
        heard.until(lambda heard: heard.received == 520)
    (gap,) = heard.gaps
    assert 490 <= gap < 1500


def test_lines_of_another_width_end_it(board: Board) -> None:
    with open_line(board) as source:
        heard = Heard(source)
        board.send(text(0, 100, 2))
        with pytest.raises(SignalError, match=r" sends 2 channels, expected 3; set channels=2, and pick with"):
            heard.until(lambda _: False)


def test_a_single_channel_and_the_command_lines_rate(board: Board) -> None:
    source = open_source(f"serial:{board.path}", Wanted(16000, 1, 0.08, given_rate_hz=50))
    assert (source.rate_hz, source.channels, source.unit) == (50, 1, "raw")
    with source:
        heard = Heard(source)
        board.send(b"boot\n1\n-2.5\n3e2\n")
        heard.until(lambda heard: heard.received == 3)
    assert [value for _, _, samples in heard.blocks for value in samples.ravel().tolist()] == [1, -2.5, 300]


def test_too_little_to_measure(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    import edge_res.sources.sensor as module

    monkeypatch.setattr(module, "FIRST_S", 0.3)
    with pytest.raises(OSError, match=r" sends too little to measure its rate; check baud= and format=, or give rate="):
        open_source(f"serial:{board.path}?rate=measure", WANT)
