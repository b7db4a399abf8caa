"""Lines of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_res.flow import Samples
from edge_res.sources.serial_line.lines import Lines, read_line

GOOD = {
    b"1,2,3": [1, 2, 3],
    b"1; -2 ;+3": [1, -2, 3],
    b"1\t2  3": [1, 2, 3],
    b"1.5,.5,2.": [1.5, 0.5, 2],
    b"1e3,-1E-3,0": [1000, -0.001, 0],
    b"1,2,3,": [1, 2, 3],
    b"7": [7],
}
BAD = [b"1,2,x", b"nan", b"inf,0", b"1_000", b"0x10", b"1e39", b"1.2.3", b"--1", b"1,2\xb2", b"\xa5Z\x00"]


@pytest.mark.parametrize("line", GOOD)
def test_numbers_in_a_line(line: bytes) -> None:
    assert read_line(line) == GOOD[line]


@pytest.mark.parametrize("line", BAD)
def test_lines_that_are_not_numbers(line: bytes) -> None:
    assert read_line(line) is None


def pieces(data: bytes, cuts: list[int] | None = None, channels: int = 2) -> tuple[int, list[list[float]], list[int]]:
    """Bad lines, the samples, and how many samples came before each run of bad ones."""
    lines, at, bad, places = Lines(channels), 0, 0, []
    rows: list[Samples] = [np.empty((0, channels), np.float32)]
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]:
        for lost, samples in lines.push(data[at:cut]):
            places += [sum(map(len, rows))] * lost
            bad += lost
            rows.append(samples)
        at = cut
    return bad, np.concatenate(rows).tolist(), places


@given(
    st.lists(st.tuples(st.integers(-999, 999), st.sampled_from([b"", b"", b"", b"#", b"x", b"9,"]))),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_each_good_line_is_a_sample_and_each_bad_one_a_loss(
    given_lines: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    given_lines = [(0, b""), *given_lines]  # the first sample
    data = b"part of a line\n" + b"".join(b"%s%d,%d\r\n" % (before, n, i) for i, (n, before) in enumerate(given_lines))
    bad, rows, places = pieces(data, cuts)
    assert rows == [[n, i] for i, (n, before) in enumerate(given_lines) if before == b""]
    assert bad == sum(before in (b"x", b"9,") for _, before in given_lines)
    seen = 0
    expected = []
    for _, before in given_lines:
        seen += before == b""
        expected += [seen] if before in (b"x", b"9,") else []
    assert places == expected


def test_the_first_line_may_be_incomplete() -> None:
    assert pieces(b"3,4\n13,4\n") == (0, [[13, 4]], [])


def test_lines_before_the_first_sample_are_a_greeting() -> None:
    lines = Lines(2)
    assert not list(lines.push(b"boot\nets Jul 29\nMPU6050 found\n3 4 5\nready\n"))
    assert len(list(lines.push(b"1,2\nready\n1,2\n"))) == 2
    assert lines.greeting == [b"ets Jul 29", b"MPU6050 found", b"3 4 5"]
    lines.reset()
    assert not list(lines.push(b"boot\nboot\nboot\n"))


def test_lines_of_another_width_are_not_damaged_lines() -> None:
    lines = Lines(2)
    list(lines.push(b"\n1,2\n1,2,3\nx\n4\n"))
    assert (lines.misfit, lines.misfits) == (1, 2)
    list(lines.push(b"1,2\n"))
    assert lines.misfits == 0


def test_a_line_without_an_end_is_not_kept() -> None:
    lines = Lines(2)
    assert len(list(lines.push(b"\n1,2\n"))) == 1
    for _ in range(50):
        assert not list(lines.push(b"5" * 100))
        assert len(lines._held) < 1200
    ((bad, samples),) = lines.push(b"5\n3,4\n")
    assert (bad, samples.tolist()) == (1, [[3, 4]])
