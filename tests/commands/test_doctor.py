"""`edgeres doctor` on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge_res.commands.doctor import print_lines, summary
from edge_res.doctor import Finding
from tests.doctor.broken import install
from tests.edgeres import edgeres, sentence

SEVERITIES = {"ok", "unknown", "warning", "problem"}


def test_one_json_object_and_an_exit_code(tmp_path: Path) -> None:
    install(tmp_path, "soxr", "raise ImportError('gone')")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    done = edgeres("doctor", "--json", env={"PYTHONPATH": path})
    assert done.returncode == 1, done.stderr
    body = json.loads(done.stdout)
    assert body["edgeres_doctor"] == 1
    found = body["findings"]
    assert all(set(one) == {"what", "severity", "sentence", "command"} for one in found)
    assert {one["severity"] for one in found} <= SEVERITIES
    assert body["problems"] == sum(one["severity"] == "problem" for one in found) >= 1
    assert body["warnings"] == sum(one["severity"] == "warning" for one in found)
    (soxr,) = [one for one in found if one["what"] == "modules"]
    assert soxr["sentence"] == "soxr cannot be imported: ImportError: gone."
    engines = [one["sentence"] for one in found if one["what"] == "engine"]
    assert any("LiteRT" in sentence and "to the bit" in sentence for sentence in engines)
    assert b"itself failed" not in done.stdout


def test_a_line_each_and_the_command_in_one_piece(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    command = "python3 -m pip install " + " ".join(f"package-{number}" for number in range(9))
    print_lines(
        [
            Finding("numpy", "ok", "numpy 2.4.6."),
            Finding("engine", "problem", "No [engine] is installed. " * 3, command),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == "ok       numpy: numpy 2.4.6."
    assert lines[1].startswith("problem  engine: No [engine] is installed.")
    assert lines[2].startswith("         installed. No [engine]")
    assert f"         {command}" in lines
    assert lines[-1] == "1 problem."


@pytest.mark.parametrize(
    ("severities", "said"),
    [
        ([], "Nothing is wrong."),
        (["ok", "unknown"], "Nothing is wrong."),
        (["warning", "ok"], "1 warning."),
        (["warning", "problem", "problem"], "2 problems, 1 warning."),
    ],
)
def test_the_count(severities: list[str], said: str) -> None:
    assert summary([Finding("x", severity, "") for severity in severities]) == said  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [("listen", "demo:"), ("verify",), ("info",)])
def test_a_package_that_every_device_needs_and_this_one_lacks_is_the_doctors(command: tuple[str, ...]) -> None:
    result = edgeres(*command, before="import sys; sys.modules['numpy'] = None")
    assert result.returncode == 7
    told = "This command requires the package numpy, which is not installed; `edgeres doctor` shows how to install it."
    assert sentence(result) == told
