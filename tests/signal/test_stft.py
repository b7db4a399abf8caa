"""Against scipy's transform, against the formula, and against itself however the samples arrive."""

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_res.flow import Samples
from edge_res.signal.stft import Stft, hann

SHAPES = [(512, 480, 160), (512, 512, 128), (64, 64, 64), (64, 33, 7), (63, 50, 13), (256, 2, 1), (20, 16, 15)]


def noise(samples: int, channels: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal((samples, channels)).astype(np.float32)


def transform(stft: Stft, blocks: Sequence[Samples], most: int = 8) -> NDArray[np.complex64]:
    """All frames that the blocks give, taken `most` at a time."""
    frames = []
    for block in blocks:
        taken = 0
        while True:
            taken += stft.push(block[taken:])
            while len(new := stft.take(most)):
                frames.append(new)
            if taken == len(block):
                break
    return np.concatenate([np.empty((0, stft.channels, stft.bins), np.complex64), *frames])


def blocks_of(samples: Samples, sizes: Sequence[int]) -> list[Samples]:
    """The samples split into blocks of these sizes, used in turn."""
    blocks, at = [], 0
    while at < len(samples):
        for size in sizes:
            blocks.append(samples[at : at + size])
            at += size
    return blocks


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(("n_fft", "win_length", "hop_length"), SHAPES)
def test_as_scipy(n_fft: int, win_length: int, hop_length: int, channels: int) -> None:
    samples = noise(win_length + 20 * hop_length + hop_length // 2, channels)
    frames = transform(Stft(n_fft, win_length, hop_length, channels), [samples])
    assert frames.dtype == np.complex64
    assert frames.shape == (21, channels, n_fft // 2 + 1)
    window = scipy.signal.windows.hann(win_length, sym=False)
    reference = scipy.signal.ShortTimeFFT(window, hop_length, fs=1, mfft=n_fft, phase_shift=None)
    for channel in range(channels):
        # scipy centres frame 0 at its offset
        expected = reference.stft(samples[:, channel].astype(np.float64), p0=0, p1=21, k_offset=win_length // 2).T
        largest = np.abs(expected).max(axis=1, keepdims=True)
        assert (np.abs(frames[:, channel] - expected) <= 1e-5 * largest).all()


@pytest.mark.parametrize(("n_fft", "win_length", "hop_length"), [(20, 16, 6), (16, 16, 16), (33, 9, 1)])
def test_an_impulse_at_every_position(n_fft: int, win_length: int, hop_length: int) -> None:
    count = 5
    length = win_length + (count - 1) * hop_length
    bins = np.arange(n_fft // 2 + 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    for position in range(length):
        impulse = np.zeros((length, 1), np.float32)
        impulse[position] = 1
        frames = transform(Stft(n_fft, win_length, hop_length), [impulse])
        assert len(frames) == count
        for k in range(count):
            inside = position - k * hop_length
            weight = window[inside] if 0 <= inside < win_length else 0.0
            expected = weight * np.exp(-2j * np.pi * bins * inside / n_fft)
            np.testing.assert_allclose(frames[k, 0], expected, rtol=0, atol=1e-6)


def test_the_window_is_periodic_hann() -> None:
    for length in (2, 5, 480):
        np.testing.assert_allclose(hann(length), scipy.signal.windows.hann(length, sym=False), atol=1e-7)
    assert hann(4).dtype == np.float32


@given(
    shape=st.sampled_from(SHAPES[2:]),
    channels=st.integers(1, 3),
    length=st.integers(0, 700),
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=8).filter(any),
    most=st.integers(1, 9),
    most_frames=st.integers(1, 8),
)
def test_any_split_gives_the_same_bits(
    shape: tuple[int, int, int], channels: int, length: int, sizes: list[int], most: int, most_frames: int
) -> None:
    samples = noise(length, channels, seed=length)
    whole = transform(Stft(*shape, channels), [samples])
    _, win_length, hop_length = shape
    assert len(whole) == max(0, (length - win_length) // hop_length + 1)
    split = transform(Stft(*shape, channels, most_frames), blocks_of(samples, sizes), most)
    assert split.tobytes() == whole.tobytes()


def test_frames_after_is_what_take_returns() -> None:
    stft = Stft(64, 50, 20, most_frames=4)
    samples = noise(110, 1)
    assert [stft.frames_after(n) for n in (0, 49, 50, 69, 70, 110)] == [0, 0, 1, 1, 2, 4]
    assert stft.push(samples) == 110
    assert stft.frames_after(0) == 4
    assert len(stft.take(1)) == 1
    assert stft.frames_after(0) == 3
    assert stft.frames_after(20) == 4
    assert len(stft.take(9)) == 3
    assert len(stft.take(9)) == 0


def test_push_takes_what_fits_and_returns_how_many() -> None:
    stft = Stft(8, 8, 4, most_frames=2)  # 12 samples for two frames, room for two times that
    assert stft.push(noise(100, 1)) == 24
    assert stft.push(noise(100, 1)) == 0
    assert len(stft.take(8)) == 2
    assert stft.push(noise(100, 1)) == 8


@pytest.mark.parametrize("before", [0, 1, 49, 50, 51, 333])
def test_reset_starts_a_new_stream(before: int) -> None:
    stft = Stft(64, 50, 13, channels=2)
    transform(stft, [noise(before, 2, seed=1)])
    stft.reset()
    samples = noise(300, 2)
    assert transform(stft, [samples]).tobytes() == transform(Stft(64, 50, 13, channels=2), [samples]).tobytes()


@pytest.mark.parametrize(
    ("n_fft", "win_length", "hop_length"), [(64, 65, 16), (64, 32, 33), (64, 32, 0), (0, 0, 0), (64, 1, 1)]
)
def test_impossible_lengths_are_refused_with_their_values(n_fft: int, win_length: int, hop_length: int) -> None:
    with pytest.raises(ValueError, match=f"hop_length={hop_length}, win_length={win_length}, n_fft={n_fft}"):
        Stft(n_fft, win_length, hop_length)
