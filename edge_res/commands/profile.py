"""`edgeres profile`: measured here or on another machine, estimated, or two profiles compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from edge_res.commands.options import (
    Bundles,
    HostPython,
    Install,
    Json,
    Ssh,
    complete_engine,
    complete_mode,
    number,
    on_command_line,
)
from edge_res.errors import ConfigError

_ROWS = "Combinations to measure"
_UNMEASURED = "Without measuring"
_MEASURING = ("engine", "mode", "threads", "html", "save", "device", "host")
_OF_HOST = ("install", "ssh", "host_python")


def profile(
    ctx: typer.Context,
    *,
    model: Bundles = "default",
    engine: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ENGINE",
            autocompletion=complete_engine,
            rich_help_panel=_ROWS,
            show_default="all installed",
            help="Engine to measure: litert, onnxruntime or tflite-runtime. Repeatable.",
        ),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODE",
            autocompletion=complete_mode,
            rich_help_panel=_ROWS,
            show_default="both",
            help="Mode to measure: step or window. Repeatable.",
        ),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=256,
            metavar="N",
            rich_help_panel=_ROWS,
            show_default="1, 2, 4",
            help="Number of threads to measure. Repeatable.",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            callback=number,
            min=0.1,
            max=86400.0,
            metavar="SECONDS",
            help="Length of the paced run of each combination.",
        ),
    ] = 10.0,
    tries: Annotated[
        int,
        typer.Option(
            min=1, max=100, metavar="N", help="Maximum number of runs per combination; fewer if two runs agree."
        ),
    ] = 3,
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE.html", help="File for an HTML page with plots.")] = None,
    save: Annotated[bool, typer.Option("--save", help="Save the recommended settings for `edgeres listen`.")] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="FILE FILE", rich_help_panel=_UNMEASURED, help="Compare two profiles that were written with --json."
        ),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", rich_help_panel=_UNMEASURED, help="Compare two profiles even if their bundles or hops differ."
        ),
    ] = False,
    estimate: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            rich_help_panel=_UNMEASURED,
            help="Estimate the cost on a device: a name in `edgeres devices --known`, the path of a file, or `all`.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            show_default="the recognised one, on all cores",
            help="Device file that names the cores to run on and the sensors to read.",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="USER@HOST",
            rich_help_panel="Another machine",
            help="Host to measure on, over ssh; nothing is left behind there.",
        ),
    ] = None,
    install: Install = False,
    ssh: Ssh = "ssh",
    host_python: HostPython = "python3",
) -> None:
    """Measure what a model costs on this device, for each combination of engine, mode and number of threads."""
    given = on_command_line(ctx)
    if compare:
        _refuse_beside("--compare", given, (*_MEASURING, "estimate"))
        from edge_res.profiling.tables import compare as compare_files

        return compare_files(*compare, anyway=anyway, as_json=as_json)
    if estimate is not None:
        _refuse_beside("--estimate", given, _MEASURING)
        from edge_res.commands.profile_estimate import estimate_costs

        return estimate_costs(model=model, device=estimate, as_json=as_json)
    if host is None and any(name in given for name in _OF_HOST):
        raise ConfigError("--install, --ssh and --host-python are about another machine; name it: --host USER@HOST.")
    from edge_res.commands.profile_here import ProfileOptions, measure_here

    options = ProfileOptions(
        model=model,
        engines=engine or [],
        modes=mode or [],
        threads=threads or [],
        seconds=seconds,
        tries=tries,
        as_json=as_json,
        html=html,
        save=save,
        device=device,
    )
    if host is not None:
        from edge_res.commands.profile_remote import measure_there
        from edge_res.remote.ssh import Host

        return measure_there(options, Host(name=host, ssh=ssh, python=host_python), install=install)

    measure_here(options)


def _refuse_beside(option: str, given: Mapping[str, str], measuring: Sequence[str]) -> None:
    """Refuse an option about measuring beside one that measures nothing."""
    for name in measuring:
        if name in given:
            raise ConfigError(f"{option} measures nothing, so {given[name]} has no effect; leave one of them out.")
