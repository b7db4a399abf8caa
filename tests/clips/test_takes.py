"""Takes of a stream, counted in samples, and what makes one useless."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_res.clips.takes import Progress, Take, fault_of, takes
from edge_res.flow import Block, Health, Samples

RATE_HZ = 1000


def signal(n: int, channels: int = 1) -> Samples:
    """No two samples are alike."""
    return np.arange(1, n * channels + 1, dtype=np.float32).reshape(n, channels) / 1e6


def blocks(samples: Samples, sizes: list[int], lost: dict[int, int] | None = None) -> Iterator[Block | Health]:
    at = taken = i = 0
    while taken < len(samples):
        gone = (lost or {}).get(i, 0)
        piece = samples[taken : taken + sizes[i % len(sizes)]].copy()
        yield Block("s", at + gone, piece, gone)
        piece[...] = np.nan  # as if the buffer were reused
        at += gone + len(piece)
        taken += len(piece)
        i += 1


def taken(items: Iterator[Block | Health], seconds: float, pause_s: float, channels: int = 1) -> list[Take]:
    return [item for item in takes(items, RATE_HZ, channels, seconds, pause_s) if isinstance(item, Take)]


@given(st.lists(st.integers(0, 700), min_size=1, max_size=6).filter(any), st.integers(1, 300), st.integers(0, 300))
def test_takes_are_cut_out_of_the_stream_however_it_is_split(sizes: list[int], length: int, pause: int) -> None:
    samples = signal(2000, 2)
    found = taken(blocks(samples, sizes), length / RATE_HZ, pause / RATE_HZ, 2)
    starts = list(range(pause, 2000 - length + 1, length + pause))
    assert [take.at for take in found] == starts
    for take, start in zip(found, starts, strict=True):
        np.testing.assert_array_equal(take.samples, samples[start : start + length])
        assert (take.lost, take.begins) == (0, "")


def test_what_is_lost_in_a_take_is_counted_and_what_is_lost_between_is_not() -> None:
    lost = {1: 5, 3: 7, 4: 11, 12: 13}  # before, in and between takes of 200 after 150
    found = taken(blocks(signal(1400), [100], lost), 0.2, 0.15)
    assert [(take.at, take.lost) for take in found] == [(155, 7), (523, 0), (873, 0), (1236, 0)]
    begin = [Block("s", 0, signal(100)), Block("s", 100, signal(100), begins="b.wav"), Block("s", 200, signal(300))]
    assert [take.begins for take in taken(iter(begin), 0.15, 0.0)] == ["b.wav", "", ""]
    assert [take.begins for take in taken(iter(begin), 0.15, 0.1)] == ["", ""]  # the take begins with it


def test_progress_counts_down_and_then_up_and_health_is_passed_on() -> None:
    health = Health("s", "alarmed", "no sample", 0.2)
    items: list[Block | Health] = [Block("s", at, signal(400)[at : at + 100]) for at in (0, 100, 200, 300)]
    items += [health, Block("s", 400, signal(0))]
    found = list(takes(iter(items), RATE_HZ, 1, 0.15, 0.2))
    steps = [(item.left_s, item.taken_s) for item in found if isinstance(item, Progress)]
    assert steps == [(0.1, 0), (0, 0), (0, 0.1), (0.15, 0), (0.15, 0)]
    assert health in found
    assert [round(1e6 * item.peak) for item in found if isinstance(item, Progress)] == [100, 200, 300, 400, 0]


def noise(peak: float, channels: int = 1) -> Samples:
    samples = np.random.default_rng(0).uniform(-peak, peak, (1000, channels)).astype(np.float32)
    samples[500] = peak
    return samples


@pytest.mark.parametrize(
    ("take", "fault"),
    [
        (Take(noise(0.5), 0), ""),
        (Take(noise(0.5), 0, lost=3), "3 samples were lost in it"),
        (Take(noise(0.5), 0, begins="b.wav"), "it reaches into another recording, b.wav"),
        (Take(noise(1.0), 0), ""),  # one sample
        (Take(np.clip(4 * noise(1.0), -1, 1), 0), "it clips, 7"),
        (Take(noise(0.006), 0), ""),  # -44.4 dB
        (
            Take(noise(0.004), 0),
            "it is silent, its peak is -48 dB of full scale; move closer, or allow it with --quietest -48",
        ),
        (Take(np.zeros((1000, 1), np.float32), 0), "it is a flat line at 0; check that it is not muted and that"),
        (Take(np.hstack([noise(0.5), np.full((1000, 1), 0.25, np.float32)]), 0), "its channel 1 is a flat line at 0"),
    ],
)  # fmt: skip
def test_a_useless_take_is_reported_with_the_reason(take: Take, fault: str) -> None:
    found = fault_of(take, audio=True, quietest_db=-45)
    assert found.startswith(fault)
    assert bool(found) is bool(fault)


def test_a_sensor_has_no_full_scale() -> None:
    assert fault_of(Take(noise(9.81, 3), 0), audio=False, quietest_db=-45) == ""
    assert fault_of(Take(noise(1e-6, 3), 0), audio=False, quietest_db=-45) == ""
    assert "flat line" in fault_of(Take(np.full((1000, 3), 9.81, np.float32), 0), audio=False, quietest_db=-45)
    assert "lost" in fault_of(Take(noise(9.81), 0, lost=1), audio=False, quietest_db=-45)
