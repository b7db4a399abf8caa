"""An output that is slow, hangs or fails disturbs nobody, and what it did not get is counted."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

import edge_res
from edge_res.errors import ConfigError, OutputError
from edge_res.flow import Event
from edge_res.model.bundle import read_bundle
from edge_res.sinks import Sink, open_sink
from edge_res.sinks.queued import Queued
from tests.edgeres import DEMO, edgeres, lines

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


def test_a_full_disk_is_reported_once_and_names_the_file() -> None:
    done = edgeres("listen", "demo:", "--to", "jsonl:/dev/full")
    told = done.stderr.decode()
    assert done.returncode == 0
    assert told.count("jsonl:/dev/full failed: /dev/full cannot be written: No space left on device") == 1


def test_a_pipe_that_nobody_reads_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="No such device or address"):
        open_sink(f"jsonl:{tmp_path / 'pipe'}")


def test_a_line_that_was_cut_off_is_ended_before_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"event": "o')
    list(edge_res.listen("demo:", to=f"jsonl:{tmp_path / 'a.jsonl'}"))
    cut, *whole = (tmp_path / "a.jsonl").read_text().splitlines()
    assert cut == '{"event": "o'
    assert len(whole) == len(list(edge_res.listen("demo:")))


def test_a_name_that_is_not_utf8_is_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.flac"
    with open(os.fsencode(path), "wb") as file:  # noqa: PTH123
        file.write(DEMO.read_bytes())
    list(edge_res.listen(path, to=f"jsonl:{tmp_path / 'a.jsonl'}"))
    sources = {json.loads(line)["source"] for line in (tmp_path / "a.jsonl").read_text().splitlines()}
    assert sources == {str(path)}
