"""Options that several commands share, each stated once; and what completes and checks them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_res.choices import BUNDLED, ENGINES, MODES

_ENGINE = "Engine"
_SOURCE = "Source"
_TRAINING = "Training"
_SPLIT = "Training and validation"
_THERE = "Another machine"


def number(value: float | None) -> float | None:
    """Reject NaN, which passes any range check."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is not a number.")
    return value


def on_command_line(ctx: typer.Context) -> dict[str, str]:
    """The parameters given on the command line, not by `edgeres.toml`, and the option of each."""
    return {
        str(parameter.name): max(parameter.opts, key=len)
        for parameter in ctx.command.params
        if getattr(ctx.get_parameter_source(str(parameter.name)), "name", "") == "COMMANDLINE"
    }


def complete_bundle() -> list[str]:
    return list(BUNDLED)


def complete_engine() -> list[str]:
    return list(ENGINES)


def complete_mode() -> list[str]:
    return list(MODES)


Bundle = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE", autocompletion=complete_bundle, help="Bundle file, or a bundled model: `default` or `tiny`."
    ),
]
Bundles = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE",
        autocompletion=complete_bundle,
        help="Bundle file, or a bundled model: `default` or `tiny`. A+B is an ensemble of A and B.",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="ENGINE",
        autocompletion=complete_engine,
        rich_help_panel=_ENGINE,
        help="Engine that runs the model: litert, onnxruntime or tflite-runtime.",
    ),
]
Mode = Annotated[
    Literal["step", "window"] | None,
    typer.Option(
        rich_help_panel=_ENGINE,
        help="Kind of model: `step` computes only the new frames of each hop, `window` the whole window again.",
    ),
]
EngineThreads = Annotated[
    int | None,
    typer.Option(min=1, max=256, metavar="N", rich_help_panel=_ENGINE, help="Number of threads for the engine."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

# Of a source.
Channel = Annotated[
    str | None,
    typer.Option(
        metavar="CHANNEL",
        rich_help_panel=_SOURCE,
        help="Channel to use if the source has several: 0, 1 …; 0,1 uses both, `mix` the mean of all.",
    ),
]
PcmFormat = Annotated[
    Literal["s16le", "f32le"] | None,
    typer.Option(rich_help_panel=_SOURCE, show_default="s16le", help="Sample format of raw PCM."),
]
GiveUp = Annotated[
    float | None,
    typer.Option(
        callback=number,
        min=0.0,
        metavar="SECONDS",
        rich_help_panel=_SOURCE,
        show_default="never",
        help="Seconds without a sample after which a live source has failed.",
    ),
]

# Of a data set.
Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Clips: a manifest (CSV: file, label, group), or a folder with one folder of clips per label.",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SET", show_default="all", help="Set of clips in the manifest to use. Repeatable."),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Recipe to start from: keywords, environment, bearing, ceiling-fan, arabic …, or a TOML file.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C", show_default="all", help="Labels to recognise; clips of all other labels become _unknown_."
    ),
]
WindowKind = Annotated[
    Literal["words", "stretches"] | None,
    typer.Option(
        rich_help_panel=_TRAINING,
        help="Kind of training window: `words` holds one whole short sound, `stretches` any part of a recording.",
    ),
]
Hop = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", rich_help_panel=_TRAINING, help="Number of frames between two decisions."),
]
Epochs = Annotated[
    int | None, typer.Option(min=1, metavar="N", rich_help_panel=_TRAINING, help="Number of epochs to train.")
]
Batch = Annotated[
    int | None, typer.Option(min=1, metavar="N", rich_help_panel=_TRAINING, help="Number of windows in a batch.")
]
Precision = Annotated[
    Literal["float32", "bfloat16"] | None, typer.Option(rich_help_panel=_TRAINING, help="Number format for training.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, metavar="N", rich_help_panel=_TRAINING, help="Seed for all random choices.")
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", rich_help_panel=_TRAINING, help="Number of processor threads to train with."),
]
Split = Annotated[
    Literal["group", "time"] | None,
    typer.Option(
        rich_help_panel=_SPLIT,
        help="Split into training and validation clips: by group (such as speaker), or by time in each recording.",
    ),
]
Validation = Annotated[
    float | None,
    typer.Option(
        callback=number,
        metavar="SHARE",
        rich_help_panel=_SPLIT,
        help="Share of the groups, or of the time, to validate on, such as 0.2.",
    ),
]
ValidationGroups = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        rich_help_panel=_SPLIT,
        help="Regular expression for the groups to validate on, instead of --validation.",
    ),
]
GroupPattern = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        rich_help_panel=_SPLIT,
        help="Regular expression that finds the group in a file name, such as '^(.+?)-'.",
    ),
]

# Of another machine.
Install = Annotated[
    bool,
    typer.Option(
        "--install",
        rich_help_panel=_THERE,
        help="Install missing packages on the host, in a virtual environment that is removed afterwards.",
    ),
]
Ssh = Annotated[
    str,
    typer.Option(
        metavar="COMMAND",
        rich_help_panel=_THERE,
        help="Command that runs ssh, with its options, such as 'ssh -p 2222 -i key'.",
    ),
]
HostPython = Annotated[
    str,
    typer.Option(
        metavar="PATH", rich_help_panel=_THERE, help="Path of Python on the host, such as /opt/edgeres/bin/python."
    ),
]
