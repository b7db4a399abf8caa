"""Both kinds of front-end against plain float64 numpy, and against themselves however the samples arrive."""

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_res.errors import ModelError, SignalError
from edge_res.flow import Samples
from edge_res.signal.frontend import FrontEnd, FrontEndParams, compute_frames, linear_bins, mel_filters

KINDS: list[Literal["log-mel", "log-stft"]] = ["log-mel", "log-stft"]


def make(kind: Literal["log-mel", "log-stft"], channels: int = 1, **changes: Any) -> FrontEndParams:
    """8 kHz, frames of 30 ms every 10 ms; 12 mel bands, or the 31 bins of 31.25 Hz from 62.5 to 1000 Hz."""
    bins = 12 if kind == "log-mel" else 31
    mean = tuple(-3 + 0.1 * i for i in range(bins))
    gain = tuple(0.5 + 0.01 * i for i in range(bins))
    params = FrontEndParams(
        kind=kind,
        sample_rate_hz=8000,
        channels=channels,
        n_fft=256,
        win_length=240,
        hop_length=80,
        low_hz=62.5,
        high_hz=3800.0 if kind == "log-mel" else 1000.0,
        log_floor=1e-6,
        bins=bins,
        mean=mean,
        gain=gain,
    )
    return replace(params, **changes)


def noise(samples: int, channels: int, seed: int = 0) -> Samples:
    return (0.3 * np.random.default_rng(seed).standard_normal((samples, channels))).astype(np.float32)


def power_of(params: FrontEndParams, samples: Samples) -> NDArray[np.float64]:
    """|STFT|² in float64, `(frames, bins, channels)`, by its definition."""
    window = np.sin(np.pi * np.arange(params.win_length) / params.win_length) ** 2
    starts = range(0, len(samples) - params.win_length + 1, params.hop_length)
    cut = [samples[start : start + params.win_length].astype(np.float64) * window[:, None] for start in starts]
    return np.array([np.abs(np.fft.rfft(piece, params.n_fft, axis=0)) ** 2 for piece in cut])


def test_log_mel_against_float64() -> None:
    params = make("log-mel", channels=2)
    samples = noise(4000, 2)
    low, high = (1127 * math.log(1 + hz / 700) for hz in (params.low_hz, params.high_hz))
    corners = [700 * (math.exp((low + i * (high - low) / 13) / 1127) - 1) for i in range(14)]
    hz = [k * 8000 / 256 for k in range(129)]
    power = power_of(params, samples)
    expected = np.empty((len(power), 12, 2))
    for i in range(12):
        triangle = np.interp(hz, corners[i : i + 3], [0, 1, 0])
        summed = np.einsum("fbc,b->fc", power, triangle)
        expected[:, i] = (np.log(summed + 1e-6) - params.mean[i]) * params.gain[i]
    frames = compute_frames(params, samples)
    assert frames.dtype == np.float32
    assert frames.shape == (48, 12, 2)
    np.testing.assert_allclose(frames, expected, rtol=0, atol=1e-4)


def test_log_stft_is_the_bins_from_low_to_high() -> None:
    params = make("log-stft", channels=3)
    samples = noise(4000, 3)
    hz = np.arange(129) * 31.25
    chosen = power_of(params, samples)[:, (hz >= 62.5) & (hz <= 1000)]
    mean, gain = (np.array(values)[:, None] for values in (params.mean, params.gain))
    np.testing.assert_allclose(
        compute_frames(params, samples), (np.log(chosen + 1e-6) - mean) * gain, rtol=0, atol=1e-4
    )


@pytest.mark.parametrize(
    ("low_hz", "high_hz", "expected"),
    [
        (62.5, 1000, (2, 33)),  # both ends are the centres of bins, and are in
        (62.6, 999.9, (3, 32)),
        (1, 4000, (1, 129)),  # never DC, always up to half the rate
        (70, 90, (0, 0)),  # between two centres
    ],
)
def test_linear_bins(low_hz: float, high_hz: float, expected: tuple[int, int]) -> None:
    assert linear_bins(make("log-mel", low_hz=low_hz, high_hz=high_hz)) == expected


def test_a_tone_lights_its_own_bin() -> None:
    params = make("log-stft", mean=(0.0,) * 31, gain=(1.0,) * 31)
    for k in (2, 10, 32):
        tone = np.sin(2 * np.pi * k * 31.25 * np.arange(2000) / 8000).astype(np.float32)[:, None]
        assert (compute_frames(params, tone)[:, :, 0].argmax(axis=1) == k - 2).all()


def test_mel_filters_are_triangles_without_gaps() -> None:
    params = make("log-mel", n_fft=4096, bins=40, mean=(0.0,) * 40, gain=(1.0,) * 40)
    filters = mel_filters(params)
    assert filters.shape == (2049, 40)
    assert filters.min() == 0
    assert 0.9 < filters.max() <= 1
    hz = np.arange(2049) * (8000 / 4096)
    inside = (hz > hz[filters[:, 0].argmax()]) & (hz < hz[filters[:, -1].argmax()])
    np.testing.assert_allclose(filters[inside].sum(axis=1), 1, atol=1e-5)
    assert filters[(hz <= params.low_hz) | (hz >= params.high_hz)].max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_silence_is_the_floor(kind: Literal["log-mel", "log-stft"]) -> None:
    params = make(kind)
    expected = [(math.log(1e-6) - mean) * gain for mean, gain in zip(params.mean, params.gain, strict=True)]
    frames = compute_frames(params, np.zeros((1000, 1), np.float32))
    assert np.isfinite(frames).all()
    np.testing.assert_allclose(frames[:, :, 0], np.tile(expected, (len(frames), 1)), atol=1e-4)


@given(
    kind=st.sampled_from(KINDS),
    channels=st.integers(1, 3),
    group=st.integers(1, 8),
    length=st.integers(0, 4000),
    sizes=st.lists(st.integers(0, 1500), min_size=1, max_size=8).filter(any),
)
def test_any_split_gives_the_same_bits(
    kind: Literal["log-mel", "log-stft"], channels: int, group: int, length: int, sizes: list[int]
) -> None:
    params = make(kind, channels)
    samples = noise(length, channels, seed=length)
    whole = compute_frames(params, samples, group)
    assert len(whole) == max(0, (length - 240) // 80 + 1)
    front_end, parts, at = FrontEnd(params, group), [whole[:0]], 0
    while at < length:
        for size in sizes:
            parts += front_end.push(samples[at : at + size])
            assert len(parts[-1]) in (0, group)
            at += size
    assert sum(map(len, parts)) == len(whole) // group * group  # each group as soon as it is whole
    parts.append(front_end.flush())
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", [0, 1, 239, 240, 1000, 1234])
def test_reset_starts_a_new_stream(kind: Literal["log-mel", "log-stft"], before: int) -> None:
    params = make(kind, channels=2)
    front_end = FrontEnd(params)
    assert sum(map(len, front_end.push(noise(before, 2, seed=1)))) == max(0, (before - 240) // 80 + 1) // 8 * 8
    front_end.reset()
    samples = noise(2000, 2)
    frames = np.concatenate([*front_end.push(samples), front_end.flush()])
    assert frames.tobytes() == compute_frames(params, samples).tobytes()


def test_a_returned_frame_does_not_change() -> None:
    front_end = FrontEnd(make("log-mel"))
    first, *_ = front_end.push(noise(2000, 1))
    kept = first.copy()
    assert list(front_end.push(noise(2000, 1, seed=1)))
    assert first.tobytes() == kept.tobytes()


@pytest.mark.parametrize("shape", [(100,), (100, 1), (100, 3), (100, 2, 1)])
def test_samples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SignalError, match=r"have the shape \(100.*\(samples, 2\)\.$"):
        list(FrontEnd(make("log-mel", channels=2)).push(np.zeros(shape, np.float32)))


def test_params_survive_json() -> None:
    params = make("log-stft")
    assert FrontEndParams.from_dict(params.to_dict()) == params
    assert params.samples_of(3) == 240 + 2 * 80


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "mfcc"}, "kind is 'mfcc', expected log-mel or log-stft"),
        ({"kind": ["log-mel"]}, "kind is"),
        ({"hop_length": 0}, "hop_length <= win_length <= n_fft and win_length >= 2, found 0, 240, 256"),
        ({"hop_length": 241}, "found 241, 240, 256"),
        ({"win_length": 1, "hop_length": 1}, "win_length >= 2, found 1, 1, 256"),
        ({"win_length": 257}, "found 80, 257, 256"),
        ({"n_fft": 2 << 20}, "hop_length <= win_length <= n_fft"),
        ({"hop_length": 80.0}, "must be whole numbers"),
        ({"bins": "12"}, "must be whole numbers"),
        ({"channels": True}, "must be whole numbers"),
        ({"sample_rate_hz": 0}, "0 Hz with 1 channels is out of range"),
        ({"sample_rate_hz": 10**400}, "must be whole numbers, found 1000"),
        ({"channels": 0}, "with 0 channels is out of range"),
        ({"channels": 65}, "with 65 channels is out of range"),
        ({"low_hz": 0}, "found 0 and 3800"),
        ({"low_hz": 3800.0}, "found 3800.0 and 3800.0"),
        ({"high_hz": 4001}, "half of 8000 Hz, found 62.5 and 4001"),
        ({"high_hz": math.nan}, "must be finite float32, found nan"),
        ({"high_hz": "4000"}, "must be finite float32, found '4000'"),
        ({"low_hz": True}, "must be finite float32, found True"),
        ({"log_floor": 0}, "log_floor must be a positive float32, found 0"),
        ({"log_floor": 1e-60}, "log_floor must be"),
        ({"log_floor": -1}, "log_floor must be"),
        ({"log_floor": math.inf}, "must be finite float32, found inf"),
        ({"log_floor": None}, "must be finite float32, found None"),
        ({"bins": 0}, "0 bins do not fit n_fft 256"),
        ({"bins": 257}, "257 bins do not fit n_fft 256"),
        ({"bins": 13}, "12 and 12 values for 13 bins"),
        ({"mean": (0.0,) * 11}, "11 and 12 values for 12 bins"),
        ({"gain": (1.0,) * 13}, "12 and 13 values for 12 bins"),
        ({"mean": (math.nan,) * 12}, "mean and gain must be finite float32, found nan"),
        ({"gain": (1e300,) * 12}, "mean and gain must be finite float32, found 1e"),
        ({"gain": ((1.0,),) * 12}, "mean and gain must be finite float32, found"),
    ],
)
def test_invalid_params_are_refused_in_a_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        replace(make("log-mel"), **changes)
    assert str(caught.value).startswith("Invalid front-end parameters: ")
    assert str(caught.value).endswith(".")


def test_log_stft_counts_its_bins() -> None:
    with pytest.raises(ModelError, match=r"62\.5 to 900 Hz are 27 bins of the STFT, not 31\."):
        make("log-stft", high_hz=900)


@pytest.mark.parametrize(
    "changes", [{"mean": None}, {"mean": 3}, {"gain": "111111111111"}, {"low_hz": []}, {"colour": 1}]
)
def test_a_dictionary_of_other_keys_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="Invalid front-end parameters: "):
        FrontEndParams.from_dict({**make("log-mel").to_dict(), **changes})
    missing: Any
    for missing in ({}, [], None, {k: v for k, v in make("log-mel").to_dict().items() if k != "n_fft"}):
        with pytest.raises(ModelError, match="expected bins, channels"):
            FrontEndParams.from_dict(missing)
