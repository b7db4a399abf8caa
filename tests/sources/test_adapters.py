"""Some channels of a source, or their mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_res.errors import ConfigError
from edge_res.flow import Samples
from edge_res.sources import Wanted, open_source
from edge_res.sources.adapters import Picked, read_pick
from tests.sources.blocks import blocks_of


@pytest.fixture
def stereo(tmp_path: Path) -> tuple[str, Samples]:
    samples: Samples = (np.random.default_rng(0).integers(-(2**15), 2**15, (5000, 3)) / 2**15).astype(np.float32)
    path = tmp_path / "three.wav"
    soundfile.write(path, samples, 16000, subtype="PCM_16")
    return str(path), samples


@pytest.mark.parametrize("text", ["0", "2", "2,0", "mix"])
def test_what_is_picked_is_what_comes(stereo: tuple[str, Samples], text: str) -> None:
    path, samples = stereo
    pick = read_pick(text)
    expected = samples.mean(axis=1, keepdims=True) if pick is None else samples[:, pick]
    with Picked(open_source(path, Wanted(16000, None, 0.08)), pick) as source:
        assert source.channels == expected.shape[1]
        blocks = [block.samples.copy() for block in blocks_of(source)]
    assert all(block.flags.c_contiguous and block.dtype == np.float32 for block in blocks)
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-7)


@pytest.mark.parametrize("text", ["", "left", "-1", "0,", "1.5"])
def test_what_names_no_channel_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names no channel; give one as 0"):
        read_pick(text)


def test_a_channel_that_is_not_there(stereo: tuple[str, Samples]) -> None:
    with pytest.raises(ConfigError, match=r"three.wav has 3 channels, counted from 0, and --channel asks for 3"):
        Picked(open_source(stereo[0], Wanted(16000, None, 0.08)), (0, 3))
