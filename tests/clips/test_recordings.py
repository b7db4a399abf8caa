"""What makes a recording useless to learn from."""

from __future__ import annotations

import numpy as np
import pytest

from edge_res.clips.recordings import fault_of
from edge_res.flow import Samples


def noise(peak: float) -> Samples:
    return np.random.default_rng(0).uniform(-peak, peak, (1000, 1)).astype(np.float32)


@pytest.mark.parametrize(("share", "fault"), [(0.0, None), (0.04, None), (0.06, "clipped"), (1.0, "clipped")])
def test_a_clip_may_clip_a_little(share: float, fault: str | None) -> None:
    samples = noise(0.5)
    samples[: round(share * len(samples))] = np.where(np.arange(round(share * len(samples))) % 2, 1, -1)[:, np.newaxis]
    assert fault_of(samples) == fault


def test_a_sensor_in_its_own_unit_does_not_clip() -> None:
    assert fault_of(noise(9.81)) is None


@pytest.mark.parametrize("samples", [np.zeros((0, 1)), np.zeros((100, 2)), np.full((100, 1), 0.5)])
def test_a_recording_with_nothing_in_it(samples: Samples) -> None:
    assert fault_of(samples.astype(np.float32)) == "empty or silent"
