"""`edgeres profile` as a user runs it: a real, short run. No test looks at how long anything took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edge_res.commands.profile_here import file_of
from edge_res.devices import detect, load_device
from edge_res.devices.machine import machine_name
from edge_res.engines.onnxruntime import op_times
from edge_res.measured import Settings, key_of, save
from edge_res.model.bundle import read_bundle
from edge_res.profiling.rows import COMMAND
from edge_res.profiling.worker import Task
from tests.edgeres import REPOSITORY, edgeres, lines, sentence

SHORT = ("--threads", "1", "--seconds", "0.1", "--tries", "1")
FIGURES = ("p50_us", "p95_us", "p99_us", "max_us")


@pytest.fixture(scope="module", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `profile` keeps of one time for the next is not to come from elsewhere, nor to go there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def test_a_profile_is_of_the_device_file_in_use_unless_that_is_of_another_machine(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("threads = 1\n")
    assert file_of(load_device(path)) == "mine"
    path.write_text('recognised_by = ["no such board"]\n')
    assert file_of(load_device(path)) == detect().name


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[bytes]:
    page = tmp_path_factory.mktemp("profile") / "page.html"
    return edgeres("profile", "tiny", "--engine", "litert", "--mode", "step", *SHORT, "--json", "--html", page)


@pytest.fixture(scope="module")
def report(run: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    (body,) = lines(run)
    return body


def test_the_report_is_as_documented(report: dict[str, Any]) -> None:
    assert report["edgeres_profile"] == 1
    assert report["device"]["name"] == machine_name()
    assert report["bundle"]["name"] == read_bundle("tiny").manifest.name
    assert set(report) == {
        "edgeres_profile", "version", "made", "device", "bundle", "settings", "rows", "recommendation", "why_none",
    }  # fmt: skip
    assert (report["recommendation"] is None) == bool(report["why_none"])


def test_a_row_is_as_documented(report: dict[str, Any]) -> None:
    (row,) = report["rows"]
    assert (row["engine"], row["mode"], row["threads"]) == ("litert", "step", 1)
    assert row["verdict"] in ("stable", "noisy", "drifting", "throttled")
    assert row["why"]
    for phase in (row, row["paced"], row["unpaced"]):
        times = [phase[name] for name in FIGURES]
        assert times == sorted(times)
        assert times[0] > 0
        assert phase["cpu_share"] > 0
        assert phase["real_time_factor"] > 0
    assert row["paced"]["hops"] == len(row["hops_us"]) == 40
    assert row["rss_bytes"] > 20_000_000
    assert set(row["stages_us"]) == {"ring", "level", "front_end", "quantize", "engine", "decide", "rest"}
    assert set(row["cold"]) == {"import_ms", "load_ms", "first_run_us", "first_decision_us"}
    assert row["cold"]["load_ms"] > row["cold"]["first_run_us"] / 1000 > 0
    assert row["ops_us"] is None  # LiteRT does not tell
    assert row["energy"] is None or row["energy"]["idle_w"] > 0


def keys_of(body: object) -> set[str]:
    """All keys of a JSON value, but those below `network`, which is of the bundle, and the names of modes."""
    if isinstance(body, list):
        return set().union(*map(keys_of, body))
    if not isinstance(body, dict):
        return set()
    inner = [keys_of(value) for key, value in body.items() if key != "network"]
    return (set(body) | set().union(*inner)) - {"step", "window"}


def test_every_field_is_documented(report: dict[str, Any]) -> None:
    text = (REPOSITORY / "docs" / "reference" / "json-reports.md").read_text()
    documented = text.partition("## edgeres profile\n")[2].partition("\n## ")[0]
    assert {key for key in keys_of(report) if f"`{key}`" not in documented} == set()


def test_the_page_is_written(run: subprocess.CompletedProcess[bytes]) -> None:
    path = Path(run.stderr.decode().rpartition("edgeres: wrote ")[2].strip())
    assert path.read_text().startswith("<!doctype html>")
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]


def test_a_profile_is_compared_with_itself(report: dict[str, Any], tmp_path: Path) -> None:
    path, other = tmp_path / "a.json", tmp_path / "b.json"
    path.write_text(json.dumps(report))
    (found,) = lines(edgeres("profile", "--compare", path, path, "--json"))
    assert [pair["ratios"]["p50_us"] for pair in found["pairs"]] == [1.0]
    assert "×1.00" in edgeres("profile", "--compare", path, path).stdout.decode()
    other.write_text(json.dumps({**report, "bundle": {**report["bundle"], "sha256": "0", "name": "mine"}}))
    refused = edgeres("profile", "--compare", path, other)
    assert refused.returncode == 2
    assert "--anyway" in sentence(refused)
    told = edgeres("profile", "--compare", path, other, "--anyway")
    assert told.returncode == 0
    assert "not those of the devices" in told.stderr.decode()


ROW = '{"engine": "litert", "mode": "step", "threads": "one", "verdict": "stable"}'
BROKEN = f'{{"edgeres_profile": 1, "device": {{}}, "bundle": {{}}, "rows": [{ROW}]}}'


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"edgeres_profile": 1, "rows": [{}]}', "\xff", BROKEN])
def test_what_is_no_profile_is_not_compared(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    refused = edgeres("profile", "--compare", path, path)
    assert refused.returncode == 2
    assert "is not a profile" in sentence(refused)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["nothing.edgeres"], 6, "There is no bundle"),
        (["--engine", "tensorrt"], 2, "There is no engine"),
        (["--mode", "both"], 2, "There is no mode 'both'"),
        (["--compare", "a.json", "b.json"], 2, "There is no profile a.json"),
        (["--html", "nowhere/page.html"], 2, "There is no folder nowhere"),
        (["--html", "."], 2, ". is not a file"),
        (["--estimate", "all", "--host", "pi"], 2, "--estimate measures nothing, so --host has no effect"),
        (["--compare", "a.json", "b.json", "--save"], 2, "--compare measures nothing, so --save has no effect"),
        (["--install"], 2, "name it: --host USER@HOST"),
        (["--host=-oProxyCommand=true"], 2, "'-oProxyCommand=true' is not a host"),
        (["--host", "pi", "--device", "nowhere.toml"], 2, "There is no device file nowhere.toml"),
    ],
)
def test_mistakes_are_told_before_anything_is_measured(arguments: list[str], code: int, told: str) -> None:
    refused = edgeres("profile", *arguments)
    assert refused.returncode == code
    assert told in sentence(refused)


def test_a_process_that_dies_is_a_row_that_failed() -> None:
    before = (
        "import edge_res.profiling.rows as rows, sys\n"
        "rows.COMMAND = [sys.executable, '-c', 'import os; os.kill(os.getpid(), 11)']"
    )
    died = edgeres("profile", "tiny", "--engine", "litert", "--mode", "step", *SHORT, before=before)
    assert died.returncode == 7
    assert "signal 11" in died.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_by_a_signal_it_writes_nothing_and_nothing_runs_on(tmp_path: Path, number: signal.Signals) -> None:
    page = tmp_path / "page.html"
    command = [
        sys.executable,
        "-m",
        "edge_res.cli",
        "profile",
        "tiny",
        *SHORT,
        "--seconds",
        "60",
        "--save",
        "--html",
        str(page),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    )
    child = next(children(process.pid))
    process.send_signal(number)
    out, told = process.communicate(timeout=30)
    assert process.returncode == (-number if number == signal.SIGKILL else 130)
    assert out == b""
    if number != signal.SIGKILL:
        assert told.decode().splitlines()[-1].endswith("; nothing was written or saved")
    assert "Traceback" not in told.decode()
    assert list(tmp_path.iterdir()) == []
    until_s = time.monotonic() + 30
    while running(child):
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_the_process_that_measures_ends_with_the_one_that_started_it() -> None:
    task = json.dumps(asdict(Task("tiny", "litert", "step", 1, 60.0)))
    with subprocess.Popen([*COMMAND, task], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin
        assert worker.stdout
        try:
            assert any(json.loads(line) == {"phase": "paced"} for line in worker.stdout)
            worker.stdin.close()
            assert worker.wait(20) == 1
        finally:
            worker.kill()


def test_what_a_library_prints_is_none_of_the_figures() -> None:
    code = (
        "import os; from edge_res.commands.profile_row import profile_row; from edge_res.profiling import worker\n"
        "def noisy(task, out): os.write(1, b'INFO: of a library\\n'); out.write(task)\n"
        "worker.main = noisy; profile_row('figures')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as worker:
        assert worker.stdout
        assert worker.stderr
        assert worker.stdout.read() == b"figures"
        assert worker.stderr.read() == b"INFO: of a library\n"


def running(pid: int) -> bool:
    """Whether a process is there, and not only because nobody has asked how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> Iterator[int]:
    """The processes that a process has started, as they come."""
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        time.sleep(0.05)


def saved(engine: str = "onnxruntime") -> None:
    """As `profile --save` would have it on this machine, in the configuration of the test."""
    settings = Settings(machine_name(), "tiny", engine, "window", 2, "a test", "2026-11-23")
    save(key_of(machine_name(), [read_bundle("tiny")]), settings, "{}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "int8 window on ONNX Runtime"),
        (["--mode", "step"], "int8 step on ONNX Runtime"),
        (["--threads", "1"], "1 thread"),
        (["--engine", "litert"], "int8 step on LiteRT"),
        (["--device", "generic"], "int8 step on LiteRT"),
        (["--model", "default"], "int8 step on LiteRT"),
    ],
)
def test_listen_follows_what_was_saved_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    saved()
    heard = edgeres("listen", "yes-0.flac", "--model", "tiny", "--format", "jsonl", *arguments)
    assert heard.returncode == 0
    said = heard.stderr.decode()
    assert told in said
    assert ("settings from" in said) == ("ONNX" in told or told == "1 thread")


def test_settings_for_an_engine_that_has_gone_are_told_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    saved()
    gone = "import sys; sys.modules['onnxruntime'] = None"
    heard = edgeres("listen", "yes-0.flac", "--model", "tiny", "--format", "jsonl", before=gone)
    assert heard.returncode == 0
    assert "are therefore not used" in heard.stderr.decode()
    assert "int8 step on LiteRT" in heard.stderr.decode()


@pytest.mark.parametrize("mode", ["step", "window"])
def test_onnxruntime_tells_its_operators(mode: str) -> None:
    found = op_times(read_bundle("tiny").file(f"{mode}.onnx"), 1, 5)
    assert found["QLinearConv"] > 0
    assert list(found.values()) == sorted(found.values(), reverse=True)
