"""What an address declares."""

from __future__ import annotations

import numpy as np
import pytest

from edge_res.errors import ConfigError
from edge_res.sources.declared import read_alarm, read_unit, scaled


def test_a_slow_sensor_has_time_for_five_samples() -> None:
    assert read_alarm("x", None, 1000) == 1.0
    assert read_alarm("x", None, 2) == 2.5
    assert read_alarm("x", 0.5, 2) == 0.5
    for alarm_s in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match=r"^x says alarm=.*; it must be a number of seconds above 0\.$"):
            read_alarm("x", alarm_s, 1000)


def test_only_what_is_said_to_be_audio_is_judged_as_audio() -> None:
    assert [read_unit(unit) for unit in ("audio", "raw", "", "g")] == ["", "raw", "raw", "g"]


def test_what_is_too_large_when_scaled_is_infinite() -> None:
    samples = scaled(np.array([[3e38], [2.0]], np.float32), 10.0)
    assert samples.dtype == np.float32
    assert samples.ravel().tolist() == [np.inf, 20.0]
