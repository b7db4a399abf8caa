"""`edgeres fetch-data` in a process of its own: what it prints, on a terminal and in a pipe, and how it ends."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from edge_res.clips.manifest import read_entries
from edge_res.commands.fetch_data import fetch_data
from edge_res.export.datasets.fetch import SETS
from tests.edgeres import edgeres, edgeres_here, sentence
from tests.export.datasets.test_fetch import SOUNDS, WORDS, sha256, tar_of, zip_of
from tests.export.serving import Site, served


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_the_sets_are_those_of_the_command_line() -> None:
    assert get_args(get_type_hints(fetch_data)["name"]) == tuple(SETS)


def test_its_last_line_is_the_command_that_trains_and_the_licence(tmp_path: Path) -> None:
    out, content = tmp_path / "my data", tar_of(WORDS)
    arguments = ("fetch-data", "speech-commands", "--out", out, "--sha256", sha256(content))
    with served(Site(content)) as url:
        done = edgeres_here(*arguments, "--url", url)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()  # a pipe sees no progress
    assert line.endswith("(licence: CC BY 4.0; credit Pete Warden, Speech Commands, arXiv:1804.03209)")
    program, command, manifest, *options = shlex.split(line.removeprefix("edgeres: next: ").partition(" (licence")[0])
    assert [program, command, *options] == ["edgeres", "train", "--recipe", "keywords"]
    assert len(read_entries(Path(manifest))[0]) == 7
    again = edgeres_here(*arguments)
    assert again.stderr.decode().splitlines() == [f"edgeres: {out}/speech-commands is already there", line]


def test_without_a_published_checksum_it_reports_the_one_it_got(tmp_path: Path) -> None:
    content = zip_of(SOUNDS)
    with served(Site(content)) as url:
        done = edgeres_here("fetch-data", "esc50", "--out", tmp_path, "--url", url)
    first, last = done.stderr.decode().splitlines()
    assert first.endswith(f"--sha256 {sha256(content)}")
    assert f"edgeres train {tmp_path}/esc50/manifest.csv --recipe environment" in last
    assert "set esc50 CC BY-NC 3.0" in last


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    with served(Site(b"something else")) as url:
        done = edgeres_here("fetch-data", "speech-commands", "--out", tmp_path, "--url", url)
        assert done.returncode == 8
        assert "and was removed" in sentence(done)
    assert edgeres_here("fetch-data", "esc50", "--out", tmp_path, "--url", "data.zip").returncode == 2
    assert edgeres_here("fetch-data", "esc51", "--out", tmp_path).returncode == 2


def test_a_terminal_shows_a_bar(tmp_path: Path) -> None:
    ours, its = os.openpty()
    code = "import sys; from edge_res.cli import main; sys.argv[0] = 'edgeres'; main()"
    with served(Site(zip_of(SOUNDS))) as url:
        subprocess.run(
            [sys.executable, "-c", code, "fetch-data", "esc50", "--out", tmp_path, "--url", url],
            stderr=its, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"}, check=True,
        )  # fmt: skip
    os.close(its)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "unpacking" in shown
    assert "━" in shown


def test_ctrl_c_ends_with_a_sentence_and_the_next_run_resumes(tmp_path: Path) -> None:
    content = zip_of(SOUNDS)
    site, part = Site(content, cuts=[400], how="stall"), tmp_path / "ESC-50-master.zip.part"
    code = "import sys; from edge_res.cli import main; sys.argv[0] = 'edgeres'; main()"
    with served(site) as url:
        command = [sys.executable, "-c", code, "fetch-data", "esc50", "--out", str(tmp_path), "--url", url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
            for _ in range(600):
                if part.exists() and part.stat().st_size == 400:
                    break
                time.sleep(0.05)
            run.send_signal(signal.SIGINT)
            _, told = run.communicate(timeout=60)
        assert (run.returncode, told) == (130, "edgeres: stopped; run the same command again to go on from here\n")
        assert edgeres(*command[3:]).returncode == 0
    assert site.asked[1]["Range"] == "bytes=400-"
    assert sum(site.sent) == len(content)
