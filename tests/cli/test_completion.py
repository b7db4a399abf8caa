"""Shell completion, by the protocol that the installed scripts speak, and in bash itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_res.choices import BUNDLED, ENGINES
from edge_res.cli import COMMANDS
from tests.edgeres import REPOSITORY, edgeres

STARTED = "import sys; sys.argv[0] = 'edgeres'; from edge_res.cli import main; main()"
SHOWN = [name for name, (panel, _, _) in COMMANDS.items() if panel]


def completed(*words: str) -> list[str]:
    """What bash is offered behind `edgeres WORDS`, of which the last is not complete."""
    given = "\n".join(["edgeres", *words])
    env = {"_EDGERES_COMPLETE": "complete_bash", "COMP_WORDS": given, "COMP_CWORD": str(len(words))}
    done = edgeres(env=env)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode().split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], SHOWN),
        (["de"], ["devices"]),
        (["profile-"], []),
        (["--con"], ["--config"]),
        (["listen", "--mo"], ["--model", "--mode"]),
        (["train", "--pre"], ["--precision"]),
        (["listen", "--engine", ""], list(ENGINES)),
        (["evaluate", "--engine", "lite"], ["litert"]),
        (["profile", "--engine", "on"], ["onnxruntime"]),
        (["listen", "--mode", ""], ["step", "window"]),
        (["profile", "--mode", "w"], ["window"]),
        (["listen", "--model", ""], list(BUNDLED)),
        (["verify", ""], list(BUNDLED)),
        (["push", "t"], ["tiny"]),
        (["info", "mine"], []),  # bash then offers files
        (["fetch-data", ""], ["speech-commands", "esc50"]),
        (["--config", "x.toml", "listen", "--form"], ["--format"]),
    ],
)
def test_commands_options_and_values_are_offered(words: list[str], expected: list[str]) -> None:
    assert completed(*words) == expected


def test_the_bundled_models_are_those_of_the_package() -> None:
    assert sorted(BUNDLED) == sorted(path.stem for path in (REPOSITORY / "edge_res" / "data").glob("*.edgeres"))


def test_zsh_and_fish_get_the_whole_summary() -> None:
    for shell, mark in (("zsh", ":"), ("fish", "\t")):
        env = {
            "_EDGERES_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": "edgeres exp",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        told = edgeres(env=env).stdout.decode().replace('"', "")
        assert f"export{mark}{COMMANDS['export'][2]}" in told


def test_what_is_installed_completes_in_bash(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash: apt-get install bash")
    program = tmp_path / "bin" / "edgeres"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{STARTED}" "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "HOME": str(tmp_path), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    asked = "COMP_WORDS=(edgeres listen --for); COMP_CWORD=2; _edgeres_completion edgeres; echo ${COMPREPLY[@]}"
    script = f"edgeres --install-completion && . ~/.bashrc && complete -p edgeres && {asked}"
    done = subprocess.run(
        [bash, "--norc", "-c", f"{script}; true"], env=env, capture_output=True, text=True, timeout=60
    )
    assert "complete -o default -F _edgeres_completion edgeres" in done.stdout.splitlines(), done.stderr
    assert done.stdout.splitlines()[-1] == "--format"
