"""An output that is slow, hangs or fails disturbs nobody, and what it did not get is counted."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import edge_res
from edge_res.errors import ConfigError, OutputError
from edge_res.flow import Event
from edge_res.model.bundle import read_bundle
from edge_res.sinks import Sink, open_sink
from edge_res.sinks.queued import Queued
from tests.edgeres import edgeres, lines

EVENT = Event("on", "yes", 0.9, 1.0, 1.5, "test")


class Slow(Sink):
    """Waits before each event until it may go on."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.labels: list[str] = []
        self.finished = False

    def emit(self, event: Event) -> None:
        self.go.wait(20)
        self.labels.append(event.label)

    def finish(self) -> None:
        self.finished = True


def started(sink: Sink, limit: int) -> Queued:
    queued = Queued(sink, "test:", limit)
    queued.start([], read_bundle("tiny").manifest)
    return queued


def test_what_comes_while_it_is_slow_is_kept_and_what_does_not_fit_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = Slow()
    queued = started(sink, 10)
    for _ in range(100):
        queued.emit(EVENT)
    assert 89 <= queued.dropped <= 91  # one may be being waited for, and `start` be in the queue
    sink.go.set()
    queued.finish()
    assert len(sink.labels) == 100 - queued.dropped
    assert sink.finished
    assert caplog.messages == [
        "test: does not keep up: items are dropped until it does",
        f"{queued.dropped} items could not be delivered to test:",
    ]


def test_one_that_hangs_does_not_keep_the_end_waiting_for_long(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_res.sinks.queued._PATIENCE_S", 0.1)
    sink = Slow()
    queued = started(sink, 10)
    for _ in range(5):
        queued.emit(EVENT)
    queued.finish()
    assert not sink.finished
    assert "items could not be delivered" in caplog.text
    sink.go.set()


def test_one_that_fails_is_reported_once_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Sink):
        def emit(self, event: Event) -> None:
            raise OSError("no room")

    queued = started(Failing(), 10)
    for _ in range(3):
        queued.emit(EVENT)
    queued.finish()
    assert queued.failed == 3
    assert caplog.messages == ["test: failed: no room", "3 items could not be delivered to test:"]


def test_events_go_to_a_file_as_they_go_to_stdout(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    list(edge_res.listen("demo:", to=[f"jsonl:{path}"]))
    assert path.read_bytes() == edgeres("listen", "demo:", "--format", "jsonl").stdout
    list(edge_res.listen("demo:", to=[f"jsonl:{path}"]))
    assert len(path.read_text().splitlines()) == 2 * len(lines(edgeres("listen", "demo:", "--format", "jsonl")))


def test_listening_goes_on_while_an_output_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_res.sinks.queued._PATIENCE_S", 0.1)
    slow = Slow()
    events = list(edge_res.listen("demo:", sinks=[Queued(slow, "test:")]))
    assert len(events) > 10
    assert not slow.labels
    slow.go.set()


def test_mistakes_are_one_sentence() -> None:
    with pytest.raises(ConfigError, match="There is no kind of output for 'nothing:x'; use one of jsonl:"):
        open_sink("nothing:x")
    with pytest.raises(ConfigError, match="jsonl: names no file"):
        open_sink("jsonl:")
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        open_sink("jsonl:/nowhere/events.jsonl")
