"""What a person sees: on a real terminal and in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.edgeres import CLIPS, DEMO, edgeres


def on_a_terminal(*arguments: str) -> str:
    """All that `edgeres listen` writes on a terminal of its own."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "edge_res.cli", "listen", *arguments]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    with subprocess.Popen(command, stdout=slave, stderr=subprocess.DEVNULL, env=env, cwd=CLIPS) as process:
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


def test_scores_are_lines_on_a_terminal_too() -> None:
    seen = on_a_terminal(str(DEMO), "--scores")
    assert "dBFS" not in seen
    assert seen.count("_silence_ 0.") > 200


def test_a_pipe_gets_the_scores_as_lines() -> None:
    run = edgeres("listen", DEMO, "--scores")
    scores = [line for line in run.stdout.decode().splitlines() if "_silence_ 0." in line]
    assert len(scores) > 200
    assert all(len(line.split()) == 2 + 2 * 12 for line in scores)
