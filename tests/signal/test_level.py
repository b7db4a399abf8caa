"""Peaks, and the warnings about faulty signals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_res.signal.level import FLOOR_DB, Level, clipped_share, decibels

RATE_HZ = 1000


def warnings_of(samples: NDArray[np.float64], audio: bool = True, block: int = 80) -> list[str]:
    level = Level("mic:", RATE_HZ, audio)
    columns = samples.reshape(len(samples), -1).astype(np.float32)
    return [told for at in range(0, len(columns), block) for told in level.push(columns[at : at + block])]


def noise(seconds: float) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))


def test_the_peak_is_that_of_the_last_block() -> None:
    level = Level("mic:", RATE_HZ, audio=True)
    for values, peak in (([0.1, -0.5], 0.5), ([0.25, 0.0], 0.25), ([], 0.0)):
        assert not list(level.push(np.array(values, np.float32)[:, np.newaxis]))
        assert level.peak == peak
    assert decibels(0.5) == pytest.approx(-6.02, abs=0.01)
    assert decibels(0.0) == FLOOR_DB


def test_a_good_signal_gives_no_warning() -> None:
    assert not warnings_of(noise(60))
    assert not warnings_of(noise(60) + 1.0, audio=False)  # gravity


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_a_flat_line_is_reported_once_with_its_length(value: float) -> None:
    flat = np.full(5 * RATE_HZ, value)
    (told, *others) = warnings_of(np.concatenate([noise(1), flat, noise(1), flat]))
    assert told == (
        f"mic: is a flat line: each sample of the last 2.0 s is {value:g}; check that it is connected and not muted."
    )
    assert not [other for other in others if "flat" in other]
    short = np.concatenate([noise(1), flat[: round(1.9 * RATE_HZ)], noise(10)])
    assert not [told for told in warnings_of(short) if "flat" in told]


def test_a_sensor_is_flat_only_if_all_its_channels_are() -> None:
    axes = np.stack([noise(5), np.zeros(5 * RATE_HZ)], axis=1)
    assert not warnings_of(axes, audio=False)
    (told,) = warnings_of(np.zeros((5 * RATE_HZ, 3)), audio=False)
    assert "flat line" in told


def test_a_sensor_that_repeats_its_last_reading_is_flat() -> None:
    moving = np.stack([noise(1)] * 3, axis=1)
    stuck = np.tile([0.25, -0.5, 9.75], (5 * RATE_HZ, 1))
    (told,) = warnings_of(np.concatenate([moving, stuck, moving, 2 * stuck]), audio=False)
    assert "each sample of the last 2.0 s is 0.25, -0.5, 9.75; check" in told
    short = stuck[: round(1.9 * RATE_HZ)]
    assert not warnings_of(
        np.concatenate([moving, short, 2 * short, moving]), audio=False
    )  # neither stays for two seconds


def test_a_slow_sensor_may_repeat_a_value_a_few_times() -> None:
    level = Level("x", 10, audio=False)
    told = [sentence for _ in range(10) for sentence in level.push(np.full((10, 1), 21.5, np.float32))]
    assert told == [
        "x is a flat line: each sample of the last 10.0 s is 21.5; check that it is connected and not muted."
    ]


def test_the_clipped_share_counts_full_scale_and_what_is_beyond() -> None:
    samples = np.array([[0.0], [0.99], [-1.0], [32767 / 32768], [1.5]], np.float32)
    assert clipped_share(samples) == 0.6
    assert clipped_share(samples, most=1.0) == 0.4


def test_clipping_is_reported_once_with_its_share() -> None:
    loud = noise(12)
    loud[::100] = 32767 / 32768
    assert warnings_of(loud) == ["mic: clips: 1.0% of its samples are at full scale; reduce its gain."]
    rare = noise(12)
    rare[::2000] = -1.0
    assert not warnings_of(rare)


def test_a_constant_offset_is_reported_once_with_its_size() -> None:
    offset = noise(12)
    offset -= offset[: 5 * RATE_HZ].mean() + 0.2
    assert warnings_of(offset) == [
        "mic: has a constant offset of -0.200 of full scale; check its wiring and bias voltage."
    ]
    assert not warnings_of(noise(12) + 0.02)
