"""The list of the commands, their help at 80 columns, and that neither loads what a run needs."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_res.cli import COMMANDS, command, group
from tests.edgeres import REPOSITORY
from tests.test_structure import HEAVY

SHOWN = [name for name, (panel, _, _) in COMMANDS.items() if panel]
NAMED = [(name, parameter) for name in SHOWN for parameter in command(name).params]
IDS = [f"{name} {parameter.name}" for name, parameter in NAMED]
# With what no noun and no verb begins: articles, prepositions, conjunctions, adverbs, pronouns, quantities, genitives.
NOT_FIRST = re.compile(
    r"(a|an|the|of|with|without|only|for|where|as|in|on|at|by|from|to|into|over|if|when|what|which|who|how|whether|also"
    r"|even|not|no|and|or|but|so|such|these|those|this|that|each|every|all|any|other|another|its|their|more|most|many"
    r"|\w+ly|\w+'s?|[\d\W].*)"
)


def run(*arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """`python -m edge_res ARGUMENTS` on a terminal's 80 columns."""
    return subprocess.run(
        [sys.executable, *python, "-m", "edge_res", *arguments], cwd=REPOSITORY, capture_output=True, text=True,
        env={**os.environ, "COLUMNS": "80"}, check=True,
    )  # fmt: skip


def help_of(*arguments: str) -> tuple[str, set[str]]:
    """What a call with --help prints, and the modules that it imports."""
    done = run(*arguments, "--help", python=("-X", "importtime"))
    found = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "edge_res.cli" in found
    return done.stdout, found


def test_each_command_is_the_function_of_its_modules_name() -> None:
    there = set()
    for path in (REPOSITORY / "edge_res" / "commands").glob("*.py"):
        functions = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        there |= {f"edge_res.commands.{path.stem}:{path.stem}"} if path.stem in functions else set()
    assert {function for _, function, _ in COMMANDS.values()} == there
    for name, (_, function, _) in COMMANDS.items():
        assert function.rpartition(":")[2] == name.replace("-", "_")


def test_edgeres_help_lists_all_commands_in_their_groups_and_imports_none() -> None:
    printed, loaded = help_of()
    told = printed.splitlines()
    panels = list(dict.fromkeys(panel for panel, _, _ in COMMANDS.values() if panel))
    assert panels == ["Listen and act", "Model", "Device"]
    assert [line.strip("╭╮─ ") for line in told if line.startswith("╭")] == ["Options", *panels]
    for name in SHOWN:
        assert f"│ {name.ljust(10)}  {COMMANDS[name][2].ljust(64)} │" in told  # on one line
    assert not [module for module in loaded if module.startswith("edge_res.commands")]


@pytest.mark.parametrize("name", SHOWN)
def test_the_help_of_a_command_fits_80_columns_and_loads_nothing_heavy(name: str) -> None:
    told, loaded = help_of(name)
    assert max(map(len, told.splitlines())) <= 80
    words = set(told.replace("│", " ").split())
    for parameter in command(name).params:
        if not getattr(parameter, "hidden", False):
            assert set(str(getattr(parameter, "help", "")).split()) <= words, parameter.name
    assert not {module.split(".")[0] for module in loaded} & {*HEAVY, "numpy"}


@pytest.mark.parametrize(("name", "parameter"), NAMED, ids=IDS)
def test_the_help_of_an_option_begins_with_a_noun_or_a_verb_and_ends_as_a_sentence(name: str, parameter: Any) -> None:
    first = parameter.help.split()[0].strip(",:;.").lower()
    assert not NOT_FIRST.fullmatch(first)
    assert parameter.help[0].isupper()
    assert parameter.help.endswith(".")


def test_options_cannot_be_swapped_in_a_call() -> None:
    for name in SHOWN:
        for parameter in inspect.signature(inspect.unwrap(command(name).callback or print)).parameters.values():
            assert parameter.kind is parameter.KEYWORD_ONLY or parameter.name == "ctx", (name, parameter.name)


def test_a_new_command_costs_one_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "toy.py").write_text("def toy(*, times: int = 2) -> None:\n    print('toy' * times)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "toy", ("Device", "toy:toy", "Say it."))
    with pytest.raises(SystemExit) as end:
        group()(["toy", "--times", "3"])
    assert end.value.code == 0
    assert capsys.readouterr().out == "toytoytoy\n"


def test_python_m_edge_res_is_edgeres() -> None:
    from edge_res import __version__

    assert run("--version").stdout == f"edgeres {__version__}\n"
    with_cli = subprocess.run([sys.executable, "-m", "edge_res.cli", "--version"], capture_output=True, text=True)
    assert with_cli.stdout == f"edgeres {__version__}\n"
