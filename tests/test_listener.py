"""The Python API: addresses in, events out, in a loop, in a thread and with asyncio."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

import edge_res
from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Event, Gap, Health
from edge_res.sinks import Sink
from edge_res.sinks.jsonl import event_body
from tests.edgeres import CLIPS, DEMO, edgeres, lines


@pytest.fixture(scope="module")
def told() -> list[dict[str, object]]:
    """What the command line prints of the demo."""
    return lines(edgeres("listen", "demo:", "--format", "jsonl"))


class Kept(Sink):
    """Keeps what a sink is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.gaps: list[Gap] = []
        self.states: list[Health] = []
        self.finished = 0

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def health(self, health: Health) -> None:
        self.states.append(health)

    def finish(self) -> None:
        self.finished += 1


def test_the_demo_in_ten_lines_is_what_the_command_line_prints(told: list[dict[str, object]]) -> None:
    found = [event_body(event) for event in edge_res.listen("demo:")]
    assert found
    assert [{**body, "version": 1} for body in found] == told


def test_a_model_is_loaded_once_and_used_again(told: list[dict[str, object]]) -> None:
    model = edge_res.load("default", mode="window")
    for _ in range(2):
        events = [event.label for event in edge_res.listen("demo:", model=model) if event.event == "on"]
        assert events == [event["label"] for event in told if event["event"] == "on"]


def test_sinks_are_given_all_and_finished_once() -> None:
    sink = Kept()
    events = list(edge_res.Listener("demo:", sinks=[sink]))
    assert sink.events == events
    assert [state.state for state in sink.states] == ["ended"]
    assert sink.finished == 1


def test_leaving_the_loop_switches_off_what_is_on_and_closes_the_source() -> None:
    sink = Kept()
    with edge_res.Listener("demo:", sinks=[sink]) as listener:
        event = next(iter(listener))
    del listener
    assert [(event.event, event.label) for event in sink.events] == [("on", event.label), ("off", event.label)]
    assert sink.finished == 1


def test_what_is_never_iterated_over_is_closed_as_well() -> None:
    with edge_res.Listener(DEMO) as listener:
        (source,) = listener.sources
    with pytest.raises(RuntimeError, match="closed"):
        list(source)


def test_a_listener_listens_once() -> None:
    listener = edge_res.Listener("demo:", model="tiny")
    listener.run()
    with pytest.raises(ConfigError, match="once"):
        listener.run()


def test_several_sources_and_options_are_those_of_the_command_line(tmp_path: Path) -> None:
    demo, rate_hz = soundfile.read(DEMO, dtype="int16")
    soundfile.write(tmp_path / "two.wav", np.stack([0 * demo, demo], axis=1), rate_hz)
    sources = ("demo:", tmp_path / "two.wav")
    with pytest.raises(edge_res.EdgeResError, match="2 channels"):
        edge_res.Listener(*sources)
    labels = [e.label for e in edge_res.listen(tmp_path / "two.wav", channel=1) if e.event == "on"]
    assert labels == [e.label for e in edge_res.listen("demo:") if e.event == "on"]
    assert not list(edge_res.listen(tmp_path / "two.wav", channel=[0]))
    assert not [e for e in edge_res.listen("demo:", thresholds={"*": 1.0}) if e.score < 1]
    names = {event.source for event in edge_res.listen("demo:", str(DEMO), model="tiny")}
    assert names == {"demo:", str(DEMO)}


def test_mistakes_are_raised_at_once() -> None:
    for sources, options, error in (
        (["nofile.wav"], {}, SourceError),
        (["demo:", "demo:"], {}, ConfigError),
        (["demo:"], {"thresholds": {"maybe": 0.5}}, ConfigError),
        (["demo:"], {"record_frames": True}, ConfigError),
    ):
        with pytest.raises(error):
            edge_res.Listener(*sources, **options)


def test_it_is_stopped_from_another_thread() -> None:
    sink = Kept()
    listener = edge_res.Listener("demo:", loop=True, realtime=True, sinks=[sink])
    thread = threading.Thread(target=listener.run)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    listener.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert sink.finished == 1
    assert listener.summary()[0].startswith("0.")


def test_asyncio_gets_the_same_events(told: list[dict[str, object]]) -> None:
    async def hear() -> list[str]:
        return [event.label async for event in edge_res.listen("demo:") if event.event == "on"]

    assert asyncio.run(hear()) == [event["label"] for event in told if event["event"] == "on"]


def test_asyncio_is_not_held_up_and_leaving_stops_the_listening() -> None:
    async def hear() -> tuple[int, edge_res.Listener, Event]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        listener = edge_res.listen("demo:", realtime=True)
        events = aiter(listener)
        first = await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
        ticking.cancel()
        return ticks, listener, first

    ticks, listener, first = asyncio.run(hear())
    assert first.label == "yes"
    assert ticks > 20
    (stream,) = listener.streams
    assert stream.stats.audio_s < 10  # of 26


def test_asyncio_raises_what_ends_the_source(tmp_path: Path) -> None:
    whole = DEMO.read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])

    async def hear() -> None:
        async for _ in edge_res.listen(tmp_path / "cut.flac"):
            pass

    with pytest.raises(SourceError, match="breaks off"):
        asyncio.run(hear())


def test_a_reader_that_is_late_makes_listening_wait_and_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_res.asynchronous._UNREAD", 1)

    async def hear() -> tuple[list[str], float]:
        listener = edge_res.listen("demo:")
        labels: list[str] = []
        heard_s = 0.0
        async for event in listener:
            if not labels:
                await asyncio.sleep(1)
                heard_s = listener.streams[0].stats.audio_s
            labels.append(event.label)
        return labels, heard_s

    labels, heard_s = asyncio.run(hear())
    assert labels == [event.label for event in edge_res.listen("demo:")]
    assert heard_s < 15  # the first two events wait, and the third is held


def test_importing_loads_nothing_heavy_and_the_names_are_there() -> None:
    code = (
        "import sys, edge_res; assert set(edge_res.__all__) <= set(dir(edge_res)); loaded = set(sys.modules); "
        "assert not {'numpy', 'soundfile', 'sounddevice', 'ai_edge_litert', 'onnxruntime'} & loaded; "
        "assert all(getattr(edge_res, name) for name in edge_res.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edge_res.nothing


def test_the_nearest_label_is_in_the_summary_where_nothing_fired() -> None:
    listener = edge_res.Listener("demo:", thresholds={"*": 1.0})
    assert not list(listener)
    (sentence,) = listener.summary()
    assert "; nearest: " in sentence
    assert " of 1.00, at " in sentence
    fired = edge_res.Listener("demo:")
    fired.run()
    assert "nearest" not in fired.summary()[0]


def test_time_of_events_is_that_at_which_the_recording_says_it_was_begun(tmp_path: Path) -> None:
    demo, rate_hz = soundfile.read(DEMO, dtype="int16")
    for name, stated in (("a.flac", "2026-03-01T12:00:00+01:00"), ("b.ogg", "2026-03-01T11:00:00Z")):
        with soundfile.SoundFile(tmp_path / name, "w", rate_hz, 1) as file:
            file.date = stated
            file.write(demo)
        for event in edge_res.listen(tmp_path / name):
            began = datetime.fromisoformat("2026-03-01T11:00:00+00:00")
            assert event.time is not None
            assert (event.time - began).total_seconds() == pytest.approx(event.start_s, abs=1e-5)
    for name, stated in (("c.flac", "2026"), ("d.flac", "2026-03-01"), ("e.flac", "long ago")):
        with soundfile.SoundFile(tmp_path / name, "w", rate_hz, 1) as file:
            file.date = stated
            file.write(demo)
        assert {event.time for event in edge_res.listen(tmp_path / name)} == {None}


def test_a_folder_has_the_times_of_each_recording(tmp_path: Path) -> None:
    clip, rate_hz = soundfile.read(CLIPS / "yes-0.flac", dtype="float32")
    still = np.random.default_rng(0).normal(0, 1e-3, 2 * rate_hz).astype(np.float32)
    for hour in (7, 9):
        with soundfile.SoundFile(tmp_path / f"{hour}.flac", "w", rate_hz, 1) as file:
            file.date = f"2026-03-01T{hour:02}:00:00Z"
            file.write(np.concatenate([still, clip, still]))
    on = [event for event in edge_res.listen(tmp_path) if event.event == "on"]
    assert [event.time.hour for event in on if event.time] == [7, 9]
    assert on[0].time is not None
    assert on[1].time is not None
    assert (on[1].time - on[0].time).total_seconds() == pytest.approx(7200, abs=0.1)


def test_the_json_of_a_time_is_utc_to_the_millisecond(tmp_path: Path) -> None:
    demo, rate_hz = soundfile.read(DEMO, dtype="int16")
    with soundfile.SoundFile(tmp_path / "a.flac", "w", rate_hz, 1) as file:
        file.date = "2026-03-01T12:00:00+01:00"
        file.write(demo)
    first = lines(edgeres("listen", tmp_path / "a.flac", "--format", "jsonl"))[0]
    assert first["time"].startswith("2026-03-01T11:00:0")
    assert first["time"].endswith("Z")
    assert len(first["time"]) == len("2026-03-01T11:00:01.960Z")
    assert json.dumps(first)


def test_close_also_ends_an_iteration_that_is_held_and_closes_outputs(tmp_path: Path) -> None:
    with edge_res.listen("demo:", to=f"jsonl:{tmp_path / 'a.jsonl'}") as listener:
        events = iter(listener)
        next(events)
    with pytest.raises(StopIteration):
        next(events)
    assert [json.loads(line)["event"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == ["on", "off"]
    with edge_res.listen("demo:", to=[f"jsonl:{tmp_path / 'b.jsonl'}"]) as listener:
        pass  # never iterated over: an open file would be a ResourceWarning
    assert (tmp_path / "b.jsonl").read_text() == ""


def test_what_is_on_goes_off_in_an_output_when_another_fails(tmp_path: Path) -> None:
    class Failing(Sink):
        def emit(self, event: Event) -> None:
            if event.event == "off":
                raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(edge_res.listen("demo:", to=f"jsonl:{tmp_path / 'a.jsonl'}", sinks=[Kept(), Failing()]))
    written = [json.loads(line)["event"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert written[0] == "on"


def test_numbers_that_cannot_be_are_refused() -> None:
    model = edge_res.load("tiny")
    for wrong in (0, -1, 44100.5, float("nan"), True, "16000"):
        with pytest.raises(ConfigError, match="rate_hz is"):
            model.stream(rate_hz=wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="rate_hz is"):
            edge_res.listen("demo:", model=model, rate_hz=wrong)  # type: ignore[arg-type]
    for wrong in (0, -1, 257, 1_000_000, "2"):
        with pytest.raises(ConfigError, match="threads is"):
            edge_res.load("tiny", threads=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="give them to `load`"):
        edge_res.listen("demo:", model=model, engine="onnxruntime")
