"""`edgeres fetch-data`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from edge_res.export.datasets.fetch import SETS, fetch
from edge_res.telling import say


def fetch_data(
    *,
    name: Annotated[
        Literal["speech-commands", "esc50"], typer.Argument(metavar="NAME", help="Data set: speech-commands or esc50.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the data set and its archive.")
    ] = Path("data"),
    sha256: Annotated[
        str | None,
        typer.Option(metavar="HEX", show_default="the published one", help="SHA-256 that the archive must have."),
    ] = None,
    url: Annotated[str | None, typer.Option(hidden=True, help="Mirror of the archive.")] = None,
) -> None:
    """Download a public data set and print the command that trains on it. A second call resumes the download."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
            task = bar.add_task("connecting", total=None)
            now = ""

            def tell(what: str, done: int, total: int | None) -> None:
                nonlocal now
                if what != now:  # speed and time left start anew
                    bar.reset(task, total=total, description=what)
                    now = what
                bar.update(task, completed=done, total=total)

            fetched = fetch(name, out, tell, url, sha256)
    except KeyboardInterrupt:
        say("stopped; run the same command again to go on from here")
        sys.exit(130)
    if fetched.was_there:
        say(f"{fetched.manifest.parent} is already there")
    elif SETS[name].sha256 is None and sha256 is None:
        say(f"no checksum is published for {name}; to demand the same file again: --sha256 {fetched.sha256}")
    command = f"edgeres train {shlex.quote(str(fetched.manifest))} --recipe {SETS[name].recipe}"
    say(f"next: {command} (licence: {SETS[name].licence})")
