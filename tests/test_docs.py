"""The documentation: its code runs or parses, its links lead somewhere, and its generated parts are the code's.

A fenced block below `<!-- not run: REASON -->` needs what a test has not, such as a microphone; it must still compile.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_res.choices import ENGINES, EngineEntry
from edge_res.cli import COMMANDS, command, group
from edge_res.config import read_toml
from edge_res.devices import detect, known_devices
from edge_res.flow import Block
from edge_res.listener import Listener
from edge_res.sinks import SINKS
from edge_res.sources import SOURCES, Wanted, open_source
from edge_res.sources.framing import Decoder
from tests.edgeres import DEMO, REPOSITORY, edgeres, edgeres_here, lines

DOCS = REPOSITORY / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"])
_BLOCK = re.compile(r"(?:<!-- ([^\n]*?) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Fenced:
    """A fenced block, and the comment directly above it."""

    page: Path
    line: int
    mark: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def fenced() -> Iterator[Fenced]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start(2)) + 1
            yield Fenced(page, line, found[1] or "", found[2], found[3])


BLOCKS = list(fenced())


def of(*languages: str) -> list[Fenced]:
    return [block for block in BLOCKS if block.language in languages]


@pytest.mark.parametrize("block", [block for block in of("python") if block.mark != "signature"], ids=str)
def test_python_runs(block: Fenced, tmp_path: Path) -> None:
    compile(block.text, str(block), "exec")
    if block.mark.startswith("not run: "):
        return
    command = [sys.executable, "-W", "error", "-c", block.text]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def words_of(line: str) -> list[str]:
    """The words of a shell line; `|`, `&&`, `;` and `>` are words of their own, a comment is none."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of each `edgeres` that a shell block calls, the command's name first."""
    for line in text.replace("\\\n", " ").splitlines():
        command: list[str] = []
        for word in [*words_of(line), ";"]:
            if word and set(word) <= set("|&;<>"):
                if command and command[0].rpartition("/")[2] == "edgeres":
                    yield command[1:]
                command = []
            else:
                command.append(word)


def parse(arguments: list[str]) -> None:
    """Parse a call as the command line does, without running it; a mistake raises."""
    before = []
    while arguments and arguments[0].startswith("-"):  # options before the command
        flag = arguments[0] not in ("--config",)
        before += arguments[: 1 if flag else 2]
        arguments = arguments[1 if flag else 2 :]
    known = {name for option in group().params for name in option.opts}
    assert {word for word in before if word.startswith("--")} <= known, before
    if arguments:
        assert arguments[0] in COMMANDS, f"there is no command {arguments[0]!r}"
        command(arguments[0]).make_context(arguments[0], arguments[1:])


@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_command_lines_parse(block: Fenced) -> None:
    for arguments in calls(block.text):
        parse(arguments)


def test_calls_are_found_and_mistakes_refused() -> None:
    assert list(calls("# edgeres no\narecord -t raw | .venv/bin/edgeres listen - --rate 16000 && edgeres info")) == [
        ["listen", "-", "--rate", "16000"],
        ["info"],
    ]
    assert len([None for block in of("sh") for _ in calls(block.text)]) > 100
    parse(["listen", "--threads", "2"])
    for wrong in (["listn"], ["listen", "--treads", "2"], ["listen", "--threads", "two"], ["export"]):
        with pytest.raises(Exception, match=r"listn|No such option|not a valid|Missing"):
            parse(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_in_the_text_and_their_options_are_there(page: Path) -> None:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for called in re.findall(r"`edgeres ([a-z][^`]*)`", text):
        name, *words = called.split()
        assert name in COMMANDS, called
        known = {"--help", *(option for parameter in command(name).params for option in parameter.opts)}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, called


@pytest.mark.parametrize("block", of("toml", "json"), ids=str)
def test_data_parses(block: Fenced) -> None:
    if block.language == "toml":
        assert read_toml(block.text)
        return
    try:
        json.loads(block.text)
    except ValueError:  # then it is one object a line
        for line in block.text.splitlines():
            json.loads(line)


def test_the_defaults_file_is_accepted(tmp_path: Path) -> None:
    (block,) = [block for block in of("toml") if block.page.name == "defaults.md"]
    (tmp_path / "edgeres.toml").write_text(block.text, encoding="utf-8")
    done = edgeres("--config", tmp_path / "edgeres.toml", "listen", "--help")
    assert done.returncode == 0, done.stderr
    assert b"mine.edgeres" in done.stdout


def test_every_language_is_checked_or_known() -> None:
    assert {block.language for block in BLOCKS} <= {"python", "pycon", "sh", "toml", "json", "text", "ini", "cpp"}
    for block in BLOCKS:
        assert not block.mark.startswith("not run") or re.match(r"not run: \w+", block.mark), block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.is_file(), target
        assert page.parent == REPOSITORY or DOCS in linked.resolve().parents, f"{target} is not on the site"
        if heading:
            assert heading in {anchor(line) for line in linked.read_text(encoding="utf-8").splitlines()}, target


def anchor(line: str) -> str:
    """That of a heading, as on GitHub."""
    return re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-") if line.startswith("#") else ""


def test_pages_that_the_code_names_are_there() -> None:
    for folder in ("edge_res", "export", "devices", "scripts"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for page in re.findall(r"(?<![\w/])docs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
                assert (REPOSITORY / page).is_file(), f"{path} names {page}"


def test_every_page_is_in_the_navigation() -> None:
    def pages_of(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, (dict, list)):
            for inner in entry.values() if isinstance(entry, dict) else entry:
                yield from pages_of(inner)

    site = read_toml((REPOSITORY / "zensical.toml").read_text(encoding="utf-8"))["project"]
    listed = list(pages_of(site["nav"]))
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_what_is_generated_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("reference", REPOSITORY / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    for page in reference.PAGES:
        text = page.read_text(encoding="utf-8")
        assert reference.rewritten(text) == text, f"{page}: run `python scripts/reference.py`"


def test_every_kind_of_source_and_output_is_listed() -> None:
    for page, kinds in (("sources.md", SOURCES), ("outputs.md", SINKS)):
        text = (DOCS / "reference" / page).read_text(encoding="utf-8")
        for kind in kinds:
            assert f"`{kind}" in text or f"{kind}`" in text, kind


def documented_keys(heading: str) -> set[str]:
    """The keys in the table below a heading of the page on JSON lines."""
    text = (DOCS / "reference" / "json-lines.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return {"version", *re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)}


def test_every_key_of_a_json_line_is_documented(tmp_path: Path) -> None:
    (tmp_path / "demo.flac").symlink_to(DEMO)
    found: dict[str, set[str]] = {}
    for line in lines(edgeres("listen", tmp_path, "--format", "jsonl", "--scores")):
        found.setdefault(line.get("event", "scores"), set()).update(line)
    assert found["on"] | found["off"] <= documented_keys("on and off")
    assert found["recording"] <= documented_keys("recording")
    assert found["scores"] <= documented_keys("Scores")


def test_the_sensor_of_the_tutorial_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = [block.text for block in of("python") if block.page.name == "your-own-machine.md"]
    functions, _, sending = program.partition("\nout = ")
    assert sending
    monkeypatch.setattr(sys, "argv", ["sensor.py", "loose"])
    sensor: dict[str, Any] = {}
    exec(functions, sensor)
    samples = [round(4096 * value) for at in range(10) for value in sensor["acceleration"](at / 1000)]
    (frame,) = Decoder().push(sensor["frame"](20, samples))
    assert frame.number == 20
    assert frame.samples.tolist() == [samples[at : at + 3] for at in range(0, 30, 3)]


def toy(kind: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of CONTRIBUTING.md as a module."""
    (text,) = [block.text for block in of("python") if block.mark == f"toy: {kind}"]
    made = ModuleType(module)
    monkeypatch.setitem(sys.modules, module, made)
    exec(text, vars(made))


def test_a_new_source_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    toy("source", "edge_res.sources.siren", monkeypatch)
    monkeypatch.setitem(SOURCES, "siren:", "edge_res.sources.siren:Siren")
    (block,) = open_source("siren:", Wanted(16000, 1, 0.08))
    assert isinstance(block, Block)
    assert block.samples.shape == (16000, 1)
    assert block.samples.dtype == np.float32


def test_a_new_output_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toy("sink", "edge_res.sinks.bell", monkeypatch)
    monkeypatch.setitem(SINKS, "bell:", "edge_res.sinks.bell:Bell")
    Listener("demo:", to=[f"bell:{tmp_path / 'rung'}"]).run()
    assert (tmp_path / "rung").read_text().split()[:3] == ["yes", "no", "down"]


def test_a_new_engine_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    toy("engine", "edge_res.engines.counted", monkeypatch)
    monkeypatch.setitem(ENGINES, "counted", EngineEntry("edge_res.engines.counted:Counted", "ai-edge-litert"))
    listener = Listener("demo:", engine="counted")
    events = list(listener)
    assert events == list(Listener("demo:", engine="litert"))
    assert sys.modules["edge_res.engines.counted"].Counted.runs >= listener.streams[0].stats.hops


def test_a_new_command_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    toy("command", "edge_res.commands.hello", monkeypatch)
    monkeypatch.setitem(COMMANDS, "hello", ("Listen and act", "edge_res.commands.hello:hello", "Print a greeting."))
    assert edgeres_here("hello", "--loud").stderr == b"edgeres: HELLO\n"
    assert b"Print a greeting." in edgeres_here("--help").stdout


def test_a_new_device_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = [block.text for block in of("toml") if block.mark == "toy: device"]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "edgeres" / "devices"
    folder.mkdir(parents=True)
    (folder / "my-board.toml").write_text(text)
    tree = tmp_path / "proc" / "device-tree"
    tree.mkdir(parents=True)
    (tree / "compatible").write_bytes(b"myvendor,myboard\0")
    assert "my-board" in known_devices()
    assert detect(tmp_path).title == "My board"


def keys_of(body: object) -> set[str]:
    """All keys of a JSON value; below `engines` there are those of each engine."""
    if isinstance(body, list):
        return set().union(*map(keys_of, body))
    if not isinstance(body, dict):
        return set()
    inner = [keys_of(list(value.values()) if key == "engines" else value) for key, value in body.items()]
    return set(body).union(*inner)


def undocumented(heading: str, body: object) -> set[str]:
    """The keys that the section on a report does not name."""
    text = (DOCS / "reference" / "json-reports.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert section
    return {key for key in keys_of(body) if f"`{key}`" not in section}


def test_every_key_of_a_report_is_documented(tmp_path: Path) -> None:
    edgeres("listen", "demo:", "--health-file", tmp_path / "health.json")
    assert undocumented("The health file", json.loads((tmp_path / "health.json").read_text())) == set()
    assert undocumented("edgeres devices", json.loads(edgeres("devices", "--json").stdout)) == set()
    assert undocumented("edgeres doctor", json.loads(edgeres("doctor", "--json").stdout)) == set()
    (found,) = lines(edgeres("evaluate", "tiny", "clips.csv", "--json"))
    assert undocumented("edgeres evaluate", dict.fromkeys(found)) == set()
