"""The application that the commands belong to, and the end of a command that a user's mistake stops."""

from __future__ import annotations

import errno
import io
import math
import sys
from typing import Annotated, NoReturn

import typer

from edge_res.errors import EdgeResError, EngineError, OutputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Listen with small int8 networks: to a microphone, a recording or a sensor.",
)


def main() -> None:
    """Run a command; a user's mistake is one sentence on stderr and an exit code of its own."""
    try:
        if sys.maxsize < 1 << 32:
            raise EdgeResError(
                "This is a 32-bit system, for which numpy and the engines have no builds; use a 64-bit OS."
            )
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be UTF-8
        app()
    except ModuleNotFoundError as error:
        fail(EngineError(missing_package(error)))
    except EdgeResError as error:
        fail(error)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        fail(OutputError(f"stdout or a file cannot be written: {error.strerror}; make room, or write elsewhere."))
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # `| head -1`: the reader has seen enough, which is no failure
            sys.exit(0)
        raise


def fail(error: EdgeResError) -> NoReturn:
    """Say a user's mistake, and end with its exit code."""
    if sys.stderr is not None:  # else `print` would take stdout
        print(f"edgeres: {error}", file=sys.stderr)
    sys.exit(error.exit_code)


def missing_package(error: ModuleNotFoundError) -> str:
    """The sentence on a package that is not installed; a module of ours that is missing is a fault."""
    from edge_res.doctor.packages import NEEDED

    name = (error.name or "").partition(".")[0]
    if name in ("", "edge_res"):
        raise error
    told = f"This command needs the package {name}, which is not installed;"
    if name in NEEDED:
        return f"{told} `edgeres doctor` tells how to get it."
    return f"{told} in a clone of the project `pip install '.[train]'` brings all that training and export need."


def number(value: float | None) -> float | None:
    """Refuse the float that is none, which no bounds keep out."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is not a number.")
    return value


def version(wanted: bool) -> None:
    if wanted:
        from edge_res import __version__

        print(f"edgeres {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
