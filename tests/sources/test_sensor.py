"""What sensors have in common: the declared samples, the rate and the thread."""

from __future__ import annotations

import numpy as np
import pytest

from edge_res.errors import ConfigError, SourceError
from edge_res.sources import Wanted
from edge_res.sources.sensor import (
    RateWatch,
    Sensor,
    SensorOptions,
    alarm_after,
    measure_rate,
    read_alarm,
    read_declared,
    read_rate,
    read_unit,
    round_rate,
    scaled,
    take_rate,
)
from tests.sources.board import Heard


def test_a_slow_sensor_has_time_for_five_samples() -> None:
    assert alarm_after(None, 1000) == 1.0
    assert alarm_after(None, 2) == 2.5
    assert alarm_after(0.5, 2) == 0.5
    assert read_alarm("x", None) is None
    assert read_alarm("x", 0.5) == 0.5
    for alarm_s in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match=r"^x says alarm=.*; expected a number of seconds above 0\.$"):
            read_alarm("x", alarm_s)


def test_only_samples_declared_as_audio_have_no_unit() -> None:
    assert [read_unit(unit) for unit in ("audio", "raw", "", "g")] == ["", "raw", "raw", "g"]


def test_scaled_values_that_are_too_large_are_infinite() -> None:
    samples = scaled(np.array([[3e38], [2.0]], np.float32), 10.0)
    assert samples.dtype == np.float32
    assert samples.ravel().tolist() == [np.inf, 20.0]


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_rate_is_the_addresss_or_else_the_command_lines() -> None:
    none, given = Wanted(16000, 1, 0.08), Wanted(16000, 1, 0.08, given_rate_hz=500)
    assert read_rate("x", "1000", given, "e") == 1000
    assert read_rate("x", None, given, "e") == 500
    assert read_rate("x", "measure", given, "e") is None
    with pytest.raises(
        ConfigError, match=r"^x does not say its sample rate; give it in Hz as in e, or use rate=measure\.$"
    ):
        read_rate("x", None, none, "e")
    for text in ("0", "-5", "12.5", "fast", "²", "2000000", ""):
        with pytest.raises(ConfigError) as caught:
            read_rate("x", text, none, "e")
        assert str(caught.value) == f"x says rate={text}; expected a whole number of Hz, or measure."


def test_a_rate_is_measured_between_the_first_and_the_last_piece() -> None:
    assert measure_rate((10 + i * 0.1, 50) for i in range(100)) == pytest.approx(500)
    assert measure_rate((10 + i * 0.1, 50) for i in range(20)) is None
    assert measure_rate([]) is None


@pytest.mark.parametrize(
    ("measured_hz", "meant_hz"),
    [(1003.2, 1000), (991.0, 1000), (416.9, 416), (831.0, 833), (16100.0, 16000), (6640.0, 6660), (1100.4, 1100),
     (1234.5, 1230), (97.0, 97), (1.004, 1), (70543.0, 70500)],
)  # fmt: skip
def test_a_measured_rate_is_rounded_to_a_common_one(measured_hz: float, meant_hz: int) -> None:
    assert round_rate(measured_hz) == meant_hz


def test_a_measured_rate_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    assert take_rate("x", 998.6, "check it") == 1000
    assert caplog.messages == ["x delivers 998.6 samples a second; using a rate of 1000 Hz."]
    for hz in (None, 0.5):
        with pytest.raises(SourceError, match=r"^x sends too little to measure its rate; check it, or give rate= in"):
            take_rate("x", hz, "check it")


def watched(rate_hz: float, seconds: float, clock: Clock, watch: RateWatch) -> list[str]:
    told: list[str] = []
    for _ in range(round(seconds * 10)):
        clock.now_s += 0.1
        told += watch.push(round(rate_hz / 10))
    return told


@pytest.mark.parametrize(("rate_hz", "wrong"), [(1000, False), (1010, False), (990, False), (1030, True), (500, True)])
def test_a_rate_that_is_not_as_declared_is_reported_once(rate_hz: int, wrong: bool) -> None:
    clock = Clock()
    watch = RateWatch("x", 1000, 1.0, clock)
    assert watched(rate_hz, 9, clock, watch) == []
    told = watched(rate_hz, 60, clock, watch)
    sentence = f"x delivers {rate_hz} samples a second instead of 1000; correct it with rate=, or"
    assert told == ([f"{sentence} rate=measure."] if wrong else [])


def test_pauses_are_not_a_wrong_rate() -> None:
    clock = Clock()
    watch = RateWatch("x", 1000, 1.0, clock)
    for _ in range(30):
        assert watched(1000, 3, clock, watch) == []
        clock.now_s += 1.5  # unplugged


@pytest.mark.parametrize("late", [False, True], ids=["lost", "late"])
def test_a_stall_of_this_machine_is_not_a_wrong_rate(late: bool) -> None:
    clock = Clock()
    watch = RateWatch("x", 1000, 1.0, clock)
    for _ in range(20):
        told = watched(1000, 4.4, clock, watch)
        clock.now_s += 0.9  # in the first of two stretches
        told += watch.push(100)
        told += watched(1000, 0.3, clock, watch)
        told += watch.push(800 * late)  # in the second
        told += watched(1000, 4.7, clock, watch)
        assert told == []


class Toy(Sensor):
    """A sensor that sends 1, 2, NaN, then loses 2 samples and sends 3."""

    def __init__(self, want: Wanted) -> None:
        options = SensorOptions(rate="50", unit="g", scale=0.5)
        super().__init__(read_declared("toy:", options, want, "toy:?rate=50"), 50, want)
        self.closed = False

    def _receive(self) -> None:
        self._put([(0, np.array([[1], [2], [np.nan]], np.float32)), (2, np.array([[3]], np.float32))])

    def _close(self) -> None:
        self.closed = True


def test_a_new_sensor_only_writes_how_it_receives() -> None:
    with Toy(Wanted(16000, 1, 0.08)) as source:
        assert (source.name, source.rate_hz, source.channels, source.unit) == ("toy:", 50, 1, "g")
        heard = Heard(source)
        heard.until(lambda heard: heard.received == 3)
    assert source.closed
    assert heard.gaps == [3]
    assert np.concatenate([samples for _, _, samples in heard.blocks]).ravel().tolist() == [0.5, 1.0, 1.5]
