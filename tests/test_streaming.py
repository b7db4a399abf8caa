"""Samples of one's own: any rate, type and split, with the scores and events of `listen`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import soundfile

import edge_res
from edge_res.errors import ConfigError, SignalError
from edge_res.flow import Event, Samples
from tests.edgeres import DEMO


@pytest.fixture(scope="module")
def model() -> edge_res.Model:
    return edge_res.load("default")


@pytest.fixture(scope="module")
def demo() -> Samples:
    samples: Samples = soundfile.read(DEMO, dtype="float32", always_2d=True)[0]
    return samples


def hear(stream: edge_res.SampleStream, samples: Any, size: int = 1600) -> list[Event]:
    events = []
    for at in range(0, len(samples), size):
        for scores in stream.push(samples[at : at + size]):
            events += stream.events(scores)
    return events + stream.finish()


def plain(events: list[Event]) -> list[tuple[str, str, float, float]]:
    return [(event.event, event.label, event.score, event.start_s) for event in events]


def test_it_hears_what_listen_hears_in_any_split(model: edge_res.Model, demo: Samples) -> None:
    expected = plain(list(edge_res.listen("demo:", model=model)))
    for size in (1, 799, 1600, len(demo)):
        part = slice(0, 8 * 16000) if size == 1 else slice(None)
        found = plain(hear(model.stream(), demo[part], size))
        assert found == expected[: len(found)]
        assert found


def test_integers_are_scaled_and_one_dimension_is_one_channel(model: edge_res.Model, demo: Samples) -> None:
    expected = plain(hear(model.stream(), demo))
    for samples in (
        np.rint(demo * 32768).astype(np.int16),
        np.rint(demo[:, 0] * 32768).astype(np.int16),
        np.rint(demo.astype(np.float64) * (1 << 31)).astype(np.int32),
        demo.astype(np.float64),
        demo[:, 0],
    ):
        assert plain(hear(model.stream(), samples)) == expected


def test_streams_of_one_model_do_not_disturb_each_other(model: edge_res.Model, demo: Samples) -> None:
    one, two = model.stream(), model.stream()
    expected = plain(hear(model.stream(), demo))
    events: tuple[list[Event], list[Event]] = ([], [])
    for at in range(0, len(demo), 4000):
        for stream, kept, samples in ((one, events[0], demo), (two, events[1], np.zeros_like(demo))):
            for scores in stream.push(samples[at : at + 4000]):
                kept += stream.events(scores)
    assert plain(events[0] + one.finish()) == expected
    assert not events[1] + two.finish()


def test_another_rate_is_resampled(model: edge_res.Model, demo: Samples) -> None:
    labels = [event.label for event in hear(model.stream(), demo) if event.event == "on"]
    thrice = np.repeat(demo, 3, axis=0)
    assert [event.label for event in hear(model.stream(rate_hz=48000), thrice) if event.event == "on"] == labels


def test_a_gap_switches_off_and_what_follows_starts_anew(model: edge_res.Model, demo: Samples) -> None:
    stream = model.stream()
    first = next(event for event in hear(model.stream(), demo) if event.event == "on")
    cut = round((first.at_s + 0.1) * 16000)
    events = [event for scores in stream.push(demo[:cut]) for event in stream.events(scores)]
    assert [event.event for event in events] == ["on"]
    (off,) = stream.gap(16000)
    assert (off.event, off.label, off.id) == ("off", first.label, events[0].id)
    assert stream.at_s == pytest.approx(cut / 16000 + 1)
    window = round(model.window_s * 16000)
    assert not stream.push(demo[:window][:-1])
    (scores,) = stream.push(demo[:1])
    assert scores.at_s == pytest.approx(cut / 16000 + 1 + model.window_s)


def test_times_are_counted_from_the_start_that_is_given(model: edge_res.Model, demo: Samples) -> None:
    start = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    events = hear(model.stream(start=start), demo)
    assert events
    for event in events:
        assert event.time is not None
        assert event.time.tzinfo == timezone.utc
        assert (event.time - start).total_seconds() == pytest.approx(event.start_s, abs=1e-5)
    assert {event.time for event in hear(model.stream(), demo)} == {None}
    with pytest.raises(ConfigError, match="without a time zone"):
        model.stream(start=datetime(2026, 3, 1))


def test_a_sensor_in_a_unit_is_taken_as_it_is(model: edge_res.Model) -> None:
    stream = model.stream(unit="g")
    ones = np.ones(round(model.window_s * 16000), np.int16)
    (scores,) = stream.push(ones)
    (same,) = model.stream(unit="g").push(ones.astype(np.float32))
    np.testing.assert_array_equal(scores.values, same.values)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros((5, 2), np.float32), r"samples was given samples of shape \(5, 2\); expected is \(samples, 1\) or"),
        (np.zeros((5, 1, 1), np.float32), r"of shape \(5, 1, 1\)"),
        (np.zeros(5, np.uint8), "of type uint8; expected is float32, float64, int16 or int32"),
        (np.array([0, np.nan], np.float32), "holds NaN at 0.000 s"),
        (np.array([0, 1e300]), "holds infinity at 0.000 s"),
    ],
)
def test_what_are_no_samples_is_refused(model: edge_res.Model, samples: Any, said: str) -> None:
    with pytest.raises(SignalError, match=said):
        model.stream().push(samples)


def test_what_a_model_states(model: edge_res.Model) -> None:
    manifest = model.manifest
    assert model.labels == manifest.labels
    assert model.sample_rate_hz == 16000
    assert model.channels == 1
    assert model.window_s == pytest.approx(1.46, abs=0.005)
    assert model.hop_s == pytest.approx(0.08)
    assert set(model.thresholds) == set(model.labels) - set(manifest.background)
    assert model.name == "default"


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_a_stream_goes_on_after_it_was_finished(model: edge_res.Model, demo: Samples, rate_hz: int) -> None:
    stream = model.stream(rate_hz=rate_hz)
    samples = np.repeat(demo[: 4 * 16000], rate_hz // 16000, axis=0)
    first = hear(stream, samples)
    assert first
    assert not stream.finish()
    assert not stream.gap(10)
    second = hear(stream, samples)
    assert [event.label for event in second] == [event.label for event in first]
    assert not {event.id for event in first} & {event.id for event in second}


def test_streams_without_times_have_ids_of_their_own(model: edge_res.Model, demo: Samples) -> None:
    ids = [{event.id for event in hear(model.stream(), demo[: 4 * 16000])} for _ in range(2)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_samples_of_another_byte_order_are_the_same(model: edge_res.Model, demo: Samples) -> None:
    part = demo[: 4 * 16000]
    expected = plain(hear(model.stream(), part))
    assert plain(hear(model.stream(), part.astype(">f4"))) == expected
    assert plain(hear(model.stream(), np.rint(part * 32768).astype(">i2"))) == expected


@pytest.mark.parametrize("lost", [-1, 0.5, float("nan")])
def test_a_gap_of_no_whole_number_is_refused(model: edge_res.Model, lost: float) -> None:
    with pytest.raises(SignalError, match="cannot be missing"):
        model.stream().gap(lost)  # type: ignore[arg-type]
