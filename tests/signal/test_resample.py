"""Against soxr in one shot, and against itself however the samples arrive."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from edge_res.flow import Samples
from edge_res.signal.resample import Resampler

RATES_HZ = [(48000, 16000), (44100, 16000), (8000, 16000), (22050, 16000), (1000, 1600), (16000, 6667)]


def noise(samples: int, channels: int) -> Samples:
    return np.random.default_rng(samples).standard_normal((samples, channels)).astype(np.float32)


def convert(resampler: Resampler, samples: Samples, sizes: list[int]) -> Samples:
    """All of the output for samples that come in blocks of these sizes, used in turn."""
    converted, at, i = [], 0, 0
    while at < len(samples):
        converted.append(resampler.push(samples[at : at + sizes[i % len(sizes)]]))
        at += sizes[i % len(sizes)]
        i += 1
    return np.concatenate([*converted, resampler.flush()])


@given(
    rates_hz=st.sampled_from(RATES_HZ),
    channels=st.integers(1, 3),
    n=st.integers(0, 20000),
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=10).filter(any),
)
def test_any_split_equals_one_shot(rates_hz: tuple[int, int], channels: int, n: int, sizes: list[int]) -> None:
    if n > 3000 and max(sizes) < 50:
        n = 3000  # many tiny blocks take long and show no more
    samples = noise(n, channels)
    converted = convert(Resampler(*rates_hz, channels), samples, sizes)
    assert converted.dtype == np.float32
    assert converted.shape[1:] == (channels,)
    assert abs(len(converted) - n * rates_hz[1] / rates_hz[0]) <= 1
    np.testing.assert_array_equal(converted, soxr.resample(samples, *rates_hz) if n else samples)


@pytest.mark.parametrize("rates_hz", [*RATES_HZ, (16000, 16000)])
def test_a_reset_starts_a_new_signal(rates_hz: tuple[int, int]) -> None:
    resampler = Resampler(*rates_hz, 2)
    assert resampler.flush().shape == (0, 2)
    resampler.reset()
    samples = noise(7000, 2)
    first = convert(resampler, samples, [1234])
    resampler.reset()
    resampler.push(noise(500, 2))
    resampler.reset()  # without a flush
    np.testing.assert_array_equal(convert(resampler, samples, [7000]), first)


def test_a_tone_stays_where_it_is() -> None:
    def tone(rate_hz: int) -> Samples:
        return np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz).astype(np.float32)[:, None]

    converted = convert(Resampler(48000, 16000, 1), tone(48000), [960])
    np.testing.assert_allclose(converted[200:-200], tone(16000)[200:-200], atol=1e-4)


def test_views_that_are_not_contiguous() -> None:
    samples = noise(6000, 4)
    for view in (samples[:, 1:2], samples[::2], np.asfortranarray(samples)):
        channels = view.shape[1]
        converted = convert(Resampler(48000, 16000, channels), view, [500])
        np.testing.assert_array_equal(converted, soxr.resample(np.ascontiguousarray(view), 48000, 16000))


def test_equal_rates_pass_through_without_soxr() -> None:
    samples = noise(100, 2)
    assert Resampler(16000, 16000, 2).push(samples) is samples
    code = (
        "import sys; from edge_res.signal.resample import Resampler; "
        "Resampler(1, 1, 1); assert 'soxr' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
