"""What a person sees: on a real terminal and in a pipe."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edge_res.flow import Block, Event, Gap, Health, Scores
from edge_res.model.bundle import read_bundle
from edge_res.sinks.table import LiveTable, describe
from edge_res.sources import Wanted, open_source
from edge_res.stats import Stats
from tests.edgeres import CLIPS, DEMO, edgeres


def on_a_terminal(*arguments: str, stderr: int = subprocess.DEVNULL) -> str:
    """All that `edgeres listen` writes on a terminal of its own."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "edge_res.cli", "listen", *arguments]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    with subprocess.Popen(command, stdout=slave, stderr=stderr, env=env, cwd=CLIPS) as process:
        os.close(slave)
        seen = b""
        try:
            while piece := os.read(master, 1 << 16):
                seen += piece
        except OSError:  # what Linux gives where the other side has closed
            pass
    os.close(master)
    assert process.returncode == 0
    return seen.decode()


def test_a_terminal_shows_level_scores_and_events() -> None:
    seen = on_a_terminal(str(DEMO))
    assert "level" in seen
    assert "dBFS" in seen
    assert "lost 0" in seen
    assert "11.46 s  left" in seen
    assert "\x1b[?25h" in seen  # the cursor is given back


def test_what_is_said_on_stderr_stays_there(tmp_path: Path) -> None:
    with (tmp_path / "told.txt").open("wb") as told:
        seen = on_a_terminal("yes-0.flac", str(DEMO), stderr=told.fileno())
    assert "edgeres: yes-0.flac has ended at 1.0 s" in (tmp_path / "told.txt").read_text().splitlines()
    assert "has ended" not in seen


def test_scores_are_lines_on_a_terminal_too() -> None:
    seen = on_a_terminal(str(DEMO), "--scores")
    assert "dBFS" not in seen
    assert seen.count("_silence_ 0.") > 200


def test_a_pipe_gets_the_scores_as_lines() -> None:
    run = edgeres("listen", DEMO, "--scores")
    scores = [line for line in run.stdout.decode().splitlines() if "_silence_ 0." in line]
    assert len(scores) > 200
    assert all(len(line.split()) == 2 + 2 * 12 for line in scores)


class Watched:
    """A live table whose clock and input are ours: `drawn` is what the next block, of that peak, makes it draw."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.stats = Stats()
        self.labels = read_bundle("default").manifest.labels
        self._out = io.StringIO()
        monkeypatch.setattr("edge_res.sinks.table.monotonic", lambda: self.now_s)
        self.table = LiveTable(Console(file=self._out, force_terminal=True, width=100, color_system=None))
        with open_source("demo:", Wanted(16000, 1, 0.08)) as source:
            self.table.start([source], read_bundle("default").manifest)

    def drawn(self, peak: float, after_s: float, samples: int = 3) -> str:
        self.now_s += after_s
        before = len(self._out.getvalue())
        self.stats.peak = peak
        self.table.block(Block("demo:", 0, np.zeros((samples, 1), np.float32)), self.stats)
        return self._out.getvalue()[before:]


def test_the_level_is_that_of_all_blocks_since_it_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    assert "-20 dBFS" in watched.drawn(0.1, after_s=1)
    assert "dBFS" not in watched.drawn(1.0, after_s=0.05)
    assert " 0 dBFS" in watched.drawn(0.01, after_s=0.06)
    assert "-40 dBFS" in watched.drawn(0.01, after_s=1)
    watched.table.finish()


def test_what_is_missing_for_a_score_is_told_at_first_and_behind_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.stats.audio_s = 0.8
    assert "0.8 of 1.5 s" in watched.drawn(0.1, after_s=1)
    scores = np.zeros(len(watched.labels), np.float32)
    scores[2] = 0.75
    watched.table.hop(Block("demo:", 0, np.zeros((1, 1), np.float32)), Scores(1.46, scores), watched.stats)
    seen = watched.drawn(0.1, after_s=1)
    assert "not ready" not in seen
    assert f"{watched.labels[2]} " in seen
    assert "0.75" in seen
    watched.table.gap(Gap(lost=100, gap_s=0.01, at_s=5.0, source="demo:"))
    watched.stats.audio_s = 5.4
    seen = watched.drawn(0.1, after_s=1)
    assert "not ready" in seen
    assert "0.4 of 1.5 s" in seen
    assert "0.75" not in seen
    watched.table.finish()


def test_while_nothing_comes_old_scores_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    watched.stats.audio_s = 5.0
    watched.table.hop(
        Block("demo:", 0, np.zeros((1, 1), np.float32)), Scores(5.0, np.eye(12, dtype=np.float32)[2]), Stats()
    )
    assert f"{watched.labels[2]} " in watched.drawn(0.1, after_s=1)
    watched.table.health(Health("demo:", "alarmed", "no sample has come for 0.7 s", 5.0))
    seen = watched.drawn(0.0, after_s=2.5, samples=0)
    assert "alarmed" in seen
    assert f"{watched.labels[2]} " not in seen
    assert "for 2.5 s" in seen
    assert "for 3.5 s" in watched.drawn(0.0, after_s=1, samples=0)
    watched.table.health(Health("demo:", "healthy", "samples come again", 5.0))
    watched.stats.audio_s = 5.5
    seen = watched.drawn(0.1, after_s=1)
    assert f"{watched.labels[2]} " not in seen
    assert "0.5 of 1.5 s" in seen
    watched.table.finish()


def test_a_label_cannot_drive_the_terminal_or_forge_a_line() -> None:
    event = Event("on", "\x1b]0;x\x07yes\r\n12.00 s  no", 0.9, 1.0, 1.5, "mic:")
    assert describe(event, "a\x1bb").plain == "     1.00 s  \\x1b]0;x\\x07yes\\r\\n12.00 s  no  0.90  a\\x1bb"
