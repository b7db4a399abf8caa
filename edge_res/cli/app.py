"""The commands, and what happens when one of them ends in an error."""

from __future__ import annotations

import errno
import importlib
import io
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core
import typer.main

from edge_res.cli.defaults import Defaults, read_defaults
from edge_res.errors import EdgeResError, EngineError, OutputError
from edge_res.telling import LOGGER, printed_on_stderr

_ACT = "Listen and act"
_MODEL = "Model"
_DEVICE = "Device"

# The group in `edgeres --help` ("" hides the command), the function, which is the command, and a summary.
COMMANDS = {
    "listen": (_ACT, "edge_res.commands.listen:listen", "Listen to sources and print what is recognised."),
    "record": (_ACT, "edge_res.commands.record:record", "Collect clips of a label, for training."),
    "train": (_MODEL, "edge_res.commands.train:train", "Train a network on clips."),
    "export": (_MODEL, "edge_res.commands.export:export", "Quantize a network to int8 and write a bundle."),
    "evaluate": (_MODEL, "edge_res.commands.evaluate:evaluate", "Measure a model's accuracy on clips and recordings."),
    "verify": (_MODEL, "edge_res.commands.verify:verify", "Check that all engines and modes give the same integers."),
    "info": (_MODEL, "edge_res.commands.info:info", "Show what a bundle contains."),
    "compare": (
        _MODEL,
        "edge_res.commands.compare:compare",
        "Train, export and measure several networks on the same data.",
    ),
    "fetch-data": (_MODEL, "edge_res.commands.fetch_data:fetch_data", "Download a public data set for training."),
    "devices": (_DEVICE, "edge_res.commands.devices:devices", "Show board, cores, engines, microphones and power."),
    "doctor": (_DEVICE, "edge_res.commands.doctor:doctor", "Find problems and show how to fix them."),
    "profile": (_DEVICE, "edge_res.commands.profile:profile", "Measure what a model costs on this device."),
    "push": (_DEVICE, "edge_res.commands.push:push", "Copy a bundle to another machine and verify it there."),
    "profile-row": ("", "edge_res.commands.profile_row:profile_row", "Measure one row of a profile."),
}


def main() -> None:
    """Run a command; an `EdgeResError` becomes one sentence on stderr and its exit code."""
    with printed_on_stderr():
        _run()


def _run() -> None:
    try:
        if sys.maxsize < 1 << 32:
            raise EdgeResError(
                "This is a 32-bit system, for which numpy and the engines have no builds; use a 64-bit OS."
            )
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
        group()()
    except ModuleNotFoundError as error:
        fail(EngineError(missing_package(error)))
    except EdgeResError as error:
        fail(error)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        fail(OutputError(f"stdout or a file cannot be written: {error.strerror}; make room, or write elsewhere."))
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # `| head -1`: the reader has seen enough
            sys.exit(0)
        raise


def fail(error: EdgeResError) -> NoReturn:
    """Report an error and end with its exit code."""
    LOGGER.error("%s", error)
    sys.exit(error.exit_code)


def missing_package(error: ModuleNotFoundError) -> str:
    """The sentence on a package that is not installed; a missing module of this package is a bug and is raised."""
    from edge_res.doctor.packages import NEEDED

    name = (error.name or "").partition(".")[0]
    if name in ("", "edge_res"):
        raise error
    missing = f"This command requires the package {name}, which is not installed;"
    if name in NEEDED:
        return f"{missing} `edgeres doctor` shows how to install it."
    if name in ("onnx", "onnxruntime", "flatbuffers"):
        return f"{missing} in a clone of the project, `pip install '.[export]'` installs all that an ONNX file needs."
    return f"{missing} in a clone of the project, `pip install '.[train]'` installs all that training and export need."


def group() -> typer.core.TyperGroup:
    """`edgeres` itself, a click group of all commands; none of their modules is imported."""
    app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
    app.callback(help="Recognise sounds in a microphone, a recording or a sensor, with small int8 networks.")(_options)
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    for name, (panel, _, summary) in COMMANDS.items():
        root.add_command(_Unloaded(name=name, short_help=summary, rich_help_panel=panel or None, hidden=not panel))
    return root


class _Unloaded(typer.core.TyperCommand):
    """A command as `edgeres --help` and shell completion list it; once it is called, its module is imported."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        loaded = command(str(self.name))
        if parent is not None and isinstance(parent.obj, Defaults):
            extra["default_map"] = parent.obj.of(loaded, parent)
        return loaded.make_context(info_name, args, parent=parent, **extra)


def command(name: str) -> typer.core.TyperCommand:
    """A command of `COMMANDS` with its options; imports its module."""
    module, _, function = COMMANDS[name][1].partition(":")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name=name)(getattr(importlib.import_module(module), function))
    found = typer.main.get_command(app)
    assert isinstance(found, typer.core.TyperCommand)
    return found


def _print_version(wanted: bool) -> None:
    if wanted:
        from edge_res.version import __version__

        print(f"edgeres {__version__}")
        raise typer.Exit


def _options(
    ctx: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="EDGERES_CONFIG",
            show_default="edgeres.toml",
            help="File with default values of options, in one table per command (see docs/how-to/defaults.md).",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read the defaults that the command then takes."""
    ctx.obj = read_defaults(config, [name for name, (panel, *_) in COMMANDS.items() if panel])
