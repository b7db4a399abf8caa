"""Health: told on stderr, in a file and to systemd."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edge_res.errors import OutputError
from edge_res.flow import Block, Health
from edge_res.model.bundle import read_bundle
from edge_res.sinks.health import HealthReport
from edge_res.sources import Source, Wanted, open_source
from edge_res.stats import Stats
from tests.edgeres import DEMO


class Clock:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def sources() -> list[Source]:
    want = Wanted(16000, 1, 0.08)
    return [open_source("demo:", want), open_source(str(DEMO), want)]


def block(source: str, samples: int) -> Block:
    return Block(source, 0, np.zeros((samples, 1), np.float32))


def test_what_is_no_file_is_not_replaced(tmp_path: Path, sources: list[Source]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match=f"{pipe} cannot be written: it is not a regular file"):
        HealthReport(pipe).start(sources, read_bundle("default").manifest)
    assert pipe.is_fifo()


def test_the_file_tells_each_source(tmp_path: Path, sources: list[Source], caplog: pytest.LogCaptureFixture) -> None:
    clock, path = Clock(), tmp_path / "health.json"
    report = HealthReport(path, clock)
    report.start(sources, read_bundle("default").manifest)
    stats = Stats()
    stats.audio_s, stats.lost, stats.gaps, stats.peak = 2.5, 160, 1, 0.5
    report.block(block("demo:", 10), stats)
    stats.peak = 0.1
    clock.now_s += 1.1
    report.block(block("demo:", 0), stats)
    (demo, other) = json.loads(path.read_text())["sources"]
    assert demo == {
        "source": "demo:", "state": "healthy", "reason": "", "rate_hz": 16000, "channels": 1, "unit": "",
        "audio_s": 2.5, "gaps": 1, "lost": 160, "events": 0, "level_db": -6.0, "peak": 0.5, "last_block_age_s": 1.1,
        "hop_p99_us": 0.0,
    }  # fmt: skip
    assert (other["source"], other["audio_s"], other["last_block_age_s"]) == (str(DEMO), 0.0, 1.1)
    report.health(Health("demo:", "alarmed", "no sample has come for 1.1 s", 2.5))
    (demo, other) = json.loads(path.read_text())["sources"]
    assert (demo["state"], demo["reason"]) == ("alarmed", "no sample has come for 1.1 s")
    assert other["state"] == "healthy"
    assert caplog.messages == ["demo: is alarmed at 2.5 s: no sample has come for 1.1 s"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["health.json"]


def test_a_file_that_cannot_be_written_is_refused_at_the_start(sources: list[Source]) -> None:
    with pytest.raises(OutputError, match=r"/nowhere/health.json cannot be written: No such file"):
        HealthReport(Path("/nowhere/health.json")).start(sources, read_bundle("default").manifest)


@pytest.mark.parametrize("path", ["/nowhere/health.json", "/etc/passwd/health.json", "."])
def test_nothing_more_is_said_of_it_at_the_end(path: str, sources: list[Source]) -> None:
    report = HealthReport(Path(path))
    with pytest.raises(OutputError, match=f"^{path} cannot be written: "):
        report.start(sources, read_bundle("default").manifest)
    report.finish()


def test_one_that_cannot_be_written_any_more_is_told_once_and_tried_again(
    tmp_path: Path, sources: list[Source], caplog: pytest.LogCaptureFixture
) -> None:
    clock, path = Clock(), tmp_path / "run" / "health.json"

    def seconds_later() -> None:
        clock.now_s += 1.1
        report.block(block("demo:", 10), Stats())

    path.parent.mkdir()
    report = HealthReport(path, clock)
    report.start(sources, read_bundle("default").manifest)
    for told in (1, 2):
        path.unlink()
        path.parent.rmdir()
        seconds_later()
        seconds_later()
        said = f"{path} cannot be written: No such file or directory; make room, or name another file."
        assert caplog.messages == told * [said]
        path.parent.mkdir()
        seconds_later()
        assert path.exists()


def notified(sources: list[Source], socket_of: Path, monkeypatch: pytest.MonkeyPatch) -> HealthReport:
    monkeypatch.setenv("NOTIFY_SOCKET", str(socket_of))
    report = HealthReport(None, Clock())
    report.start(sources, read_bundle("default").manifest)
    return report


def test_a_source_in_trouble_from_the_start_does_not_keep_the_others_from_being_ready(
    tmp_path: Path, sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        report = notified(sources, tmp_path / "notify", monkeypatch)
        report.block(block("demo:", 10), Stats())
        assert "READY=1" not in received(sock)
        report.block(block(str(DEMO), 0), Stats())  # it has yielded, and nothing has come
        report.block(block("demo:", 10), Stats())
        assert "READY=1" not in received(sock)
        report.health(Health(str(DEMO), "alarmed", "no sample has come for 0.7 s", 0.0))
        report.block(block("demo:", 10), Stats())
        assert "READY=1" in received(sock)


def test_one_who_does_not_read_what_he_is_told_stops_nothing(
    tmp_path: Path, sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        report = notified(sources, tmp_path / "notify", monkeypatch)
        for _ in range(5000):  # more than net.unix.max_dgram_qlen
            report.health(Health("demo:", "alarmed", "no sample has come for 1.1 s", 2.5))
        assert received(sock)


def received(sock: socket.socket) -> list[str]:
    """All that has come so far, a line each."""
    lines: list[str] = []
    while select.select([sock], [], [], 0)[0]:
        lines += sock.recv(4096).decode().splitlines()
    return lines


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, abstract: bool) -> None:
    address = f"edgeres-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + address if abstract else address)
        told = "@" + address if abstract else address
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_res.cli", "listen", str(DEMO), "--realtime", "--format", "jsonl"],
            env={**os.environ, "NOTIFY_SOCKET": told},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        lines: list[str] = []
        until_s = time.monotonic() + 20
        while lines.count("WATCHDOG=1") < 3 and time.monotonic() < until_s:
            lines += received(sock)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        lines += received(sock)
    assert lines.count("READY=1") == 1
    assert lines.count("WATCHDOG=1") >= 3
    assert lines.index("WATCHDOG=1") < lines.index("READY=1")
    assert any(line.startswith(f"STATUS={DEMO} healthy, ") for line in lines)
    assert "STOPPING=1" in lines


def test_who_waits_for_no_news_gets_none() -> None:
    gone = {**os.environ, "NOTIFY_SOCKET": "/nowhere/socket"}
    command = [sys.executable, "-m", "edge_res.cli", "listen", str(DEMO), "--format", "jsonl"]
    done = subprocess.run(command, env=gone, capture_output=True, timeout=60)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
