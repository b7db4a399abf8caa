"""Words in noise: where they lie, and that nothing is ever padded with zeros."""

from __future__ import annotations

import numpy as np
import pytest

from edge_res.clips import shaping

pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.export.datasets import augment
from edge_res.export.datasets.augment import Scene, Variations
from edge_res.flow import Samples

RATE_HZ = 16000
SCENE = Scene(RATE_HZ, 22080, vary=Variations(snr_db=(30.0, 30.0), speed=0.0))


@pytest.fixture
def clip() -> Samples:
    """A loud burst from 0.3 s to 0.6 s in a second of faint noise."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1e-3, RATE_HZ).astype(np.float32)
    samples[4800:9600] += rng.normal(0, 0.2, 4800).astype(np.float32)
    return samples[:, None]


@pytest.fixture
def noise() -> list[Samples]:
    return [np.random.default_rng(1).normal(0, 0.1, (60000, 1)).astype(np.float32)]


def test_the_active_region_is_found(clip: Samples) -> None:
    start, stop = shaping.active_region(clip, RATE_HZ)
    assert abs(start - 4800) <= 320
    assert abs(stop - 9600) <= 320


def test_the_whole_word_lies_somewhere_in_the_window(clip: Samples, noise: list[Samples]) -> None:
    onsets = []
    for seed in range(60):
        window = augment.word_window(np.random.default_rng(seed), SCENE, clip, noise)
        assert window.shape == (SCENE.samples, 1)
        assert window.dtype == np.float32
        start, stop = shaping.active_region(window, RATE_HZ, 15)
        assert 4000 <= stop - start <= 6000
        onsets.append(start)
    assert min(onsets) < 3000
    assert max(onsets) > SCENE.samples - 4800 - 3000


def test_only_a_part_of_the_word_is_in_a_part_window(clip: Samples, noise: list[Samples]) -> None:
    edges = set()
    for seed in range(30):
        window = augment.part_window(np.random.default_rng(seed), SCENE, clip, noise)
        start, stop = shaping.active_region(window, RATE_HZ, 15)
        assert stop - start <= 0.35 * 4800 + 960
        edges.add(start < 480)
        assert start < 480 or stop > SCENE.samples - 480
    assert edges == {True, False}


@pytest.mark.parametrize("with_recordings", [True, False])
def test_nothing_is_padded_with_zeros(clip: Samples, noise: list[Samples], with_recordings: bool) -> None:
    noise = noise if with_recordings else []
    for seed in range(20):
        for window in (
            augment.word_window(np.random.default_rng(seed), SCENE, clip, noise, other=clip),
            augment.part_window(np.random.default_rng(seed), SCENE, clip, noise),
            augment.silent_window(np.random.default_rng(seed), SCENE, noise),
        ):
            powers = np.square(window[: len(window) // 160 * 160].reshape(-1, 160)).mean(1)
            assert powers.min() > 0


def test_speed_changes_the_length_and_nothing_is_random_twice(clip: Samples, noise: list[Samples]) -> None:
    fast = Scene(RATE_HZ, 22080, vary=Variations(speed=0.14))
    lengths = {len(augment.respeed(np.random.default_rng(seed), fast, clip)) for seed in range(20)}
    assert min(lengths) < 0.92 * RATE_HZ
    assert max(lengths) > 1.08 * RATE_HZ
    one, two = (augment.word_window(np.random.default_rng(5), fast, clip, noise) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_masks_hide_frames_and_bins() -> None:
    frames = np.ones((136, 40, 1), np.float32)
    hidden = [augment.mask(np.random.default_rng(seed), frames) == 0 for seed in range(50)]
    assert max(int(h.all(axis=(1, 2)).sum()) for h in hidden) in range(10, 16)
    assert max(int(h.all(axis=(0, 2)).sum()) for h in hidden) in range(4, 7)
    assert (frames == 1).all()
