"""The pages on devices: what they name is there, if that can be checked; `test_docs.py` is about all pages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_res import __version__
from edge_res.cli import COMMANDS, command
from edge_res.doctor.examine import CHECKS
from tests.edgeres import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

HOW_TO = REPOSITORY / "docs" / "how-to"
DOCS = [HOW_TO / name for name in ("raspberry-pi.md", "jetson.md", "doctor.md", "service.md")]
NAMES = [path.name for path in DOCS]
DOCTOR = sorted((REPOSITORY / "edge_res" / "doctor").glob("*.py"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def commands(text: str) -> list[list[str]]:
    """The words behind each `edgeres` that is called, in a block or between back quotes."""
    called = re.findall(r"(?:^|[`\"/ ])edgeres ([a-z][^#`\n|\"]*)", text, re.MULTILINE)
    return [words.split() for words in called if not words.startswith("is ")]


@pytest.mark.parametrize("path", [*DOCS, *DOCTOR], ids=lambda path: str(path.name))
def test_commands_and_their_options_are_there(path: Path) -> None:
    for name, *words in commands(path.read_text(encoding="utf-8")):
        assert name in COMMANDS, name
        known = {option for parameter in command(name).params for option in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, (name, words)


def test_commands_are_found() -> None:
    found = [words for path in DOCS for words in commands(path.read_text(encoding="utf-8"))]
    assert ["listen", "mic:voicehat", "--channels", "2", "--channel", "0"] in found
    assert ["profile", "--save"] in found


@pytest.mark.parametrize("path", DOCS, ids=NAMES)
def test_extras_versions_and_scripts_are_the_projects(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    extras = {name for found in re.findall(r"[`l]\[([a-z,-]+)\](?!\()", text) for name in found.split(",")}
    assert extras <= set(PROJECT["optional-dependencies"])
    assert set(re.findall(r"edge_res-([\d.]+)-py3", text)) <= {__version__}
    for script in re.findall(r"scripts/[\w.]+\.py", text):
        assert (REPOSITORY / script).is_file(), script
    for release in re.findall(r"`tflite-runtime` ([\d.]+)", text):
        assert any(f"tflite-runtime=={release};" in need for need in PROJECT["optional-dependencies"]["tflite-runtime"])


def test_each_check_is_explained() -> None:
    rows = re.findall(
        r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", (HOW_TO / "doctor.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    explained = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert {check.__name__.replace("check_", "").replace("_", "-") for check in CHECKS} <= explained


def test_the_service_finds_what_the_page_installs(tmp_path: Path) -> None:
    text = (HOW_TO / "service.md").read_text(encoding="utf-8")
    unit = (REPOSITORY / "docs" / "edgeres.service").read_text(encoding="utf-8")
    (folder,) = set(re.findall(r"sudo python3 -m venv (\S+)", text))
    assert f"Environment=PATH={folder}/bin:" in unit
    assert f"sudo {folder}/bin/pip install ." in text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    drop_in = text.partition("<!-- drop-in -->\n```ini\n")[2].partition("```")[0]
    assert "ExecStartPre=+" in drop_in
    (tmp_path / "edgeres.service").write_text(unit)
    (tmp_path / "edgeres.service.d").mkdir()
    (tmp_path / "edgeres.service.d" / "override.conf").write_text(drop_in)
    command = ["systemd-analyze", "--man=no", "verify", str(tmp_path / "edgeres.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
