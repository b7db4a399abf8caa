"""`edgeres doctor`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from edge_res.commands.options import Json
from edge_res.doctor import Finding, examine
from edge_res.version import __version__

SCHEMA = 1
EXIT_PROBLEM = 1
_STYLES = {"ok": "green", "unknown": "dim", "warning": "yellow", "problem": "bold red"}
_INDENT = 9  # the width of the severities


def doctor(*, as_json: Json = False) -> None:
    """Find what keeps `edgeres listen` from working on this machine, and show how to fix it.

    Exits with code 1 if it finds a problem.
    """
    findings = print_json(examine()) if as_json else print_lines(examine())
    if any(finding.severity == "problem" for finding in findings):
        raise typer.Exit(EXIT_PROBLEM)


def print_json(findings: Iterable[Finding]) -> list[Finding]:
    """One object, as docs/reference/json-reports.md describes it."""
    found = list(findings)
    counts = {f"{name}s": sum(finding.severity == name for finding in found) for name in ("problem", "warning")}
    body = {"edgeres_doctor": SCHEMA, "version": __version__, **counts, "findings": [asdict(one) for one in found]}
    print(json.dumps(body), flush=True)
    return found


def print_lines(findings: Iterable[Finding]) -> list[Finding]:
    """A line each as soon as it is known, with the command that fixes it below; then the count."""
    console = Console(highlight=False)
    found = []
    for finding in findings:
        found.append(finding)
        line = Table.grid(Column(width=_INDENT), Column())
        told = Text.assemble((finding.what, "bold"), f": {finding.sentence}")
        line.add_row(Text(finding.severity, style=_STYLES[finding.severity]), told)
        console.print(line)
        if finding.command:
            # A terminal wraps it without a break in it, so that it can be copied.
            console.print(Text(f"{'':{_INDENT}}{finding.command}", style="cyan"), soft_wrap=True)
    console.print(summary(found), style="bold")
    return found


def summary(findings: Iterable[Finding]) -> str:
    """How many problems and warnings."""
    found = [finding.severity for finding in findings]
    problems, warnings = found.count("problem"), found.count("warning")
    if not problems and not warnings:
        return "Nothing is wrong."
    counts = (("problem", problems), ("warning", warnings))
    return ", ".join(f"{number} {name}{'s' * (number > 1)}" for name, number in counts if number) + "."
