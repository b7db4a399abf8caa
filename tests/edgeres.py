"""Runs the command line as a user does: in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from edge_res.cli import main

REPOSITORY = Path(__file__).resolve().parent.parent
CLIPS = REPOSITORY / "tests" / "data"
DEMO = REPOSITORY / "edge_res" / "data" / "demo.flac"


def edgeres(
    *arguments: str | Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    before: str = "",
    folder: Path = CLIPS,
) -> subprocess.CompletedProcess[bytes]:
    """Run `edgeres ARGUMENTS` in a folder; `before` is Python that runs first, to take something from the machine."""
    code = f"{before}\nimport sys\nsys.argv[0] = 'edgeres'\nfrom edge_res.cli import main\nmain()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, timeout=300, env={**os.environ, **(env or {})}, cwd=folder
    )


def edgeres_here(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run `edgeres ARGUMENTS` in this process: for the commands of the host, of which each would load PyTorch anew."""
    told, out, given = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["edgeres", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(told):
            main()
        code: Any = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = given
    return subprocess.CompletedProcess(
        sys.argv, code, *(text.getvalue().encode(errors="backslashreplace") for text in (out, told))
    )


def lines(result: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    """The JSON lines of a run that went well."""
    assert result.returncode == 0, result.stderr.decode()
    return [json.loads(line) for line in result.stdout.splitlines()]


def sentence(result: subprocess.CompletedProcess[bytes], warnings: int = 0) -> str:
    """The one sentence on stderr of a run that failed, after that many warnings: no traceback, nothing on stdout."""
    told = result.stderr.decode()
    assert "Traceback" not in told, told
    assert result.stdout == b""
    *before, mistake = [line for line in told.splitlines() if line.startswith("edgeres: ") and line.endswith(".")]
    assert len(before) == warnings, told
    assert told.splitlines()[-1] == mistake or "samples lost" in told.splitlines()[-1], told
    return mistake.removeprefix("edgeres: ")


OWN = ("source", "id", "time")  # keys of an event that differ between sources of the same sound


def events_of(text: str | bytes, source: str) -> list[dict[str, Any]]:
    """What JSON lines say of one source, without what only that source has."""
    mine = [line for line in map(json.loads, text.splitlines()) if line["source"] == source]
    return [{key: value for key, value in line.items() if key not in OWN} for line in mine]
