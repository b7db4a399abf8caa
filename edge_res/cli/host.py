"""Commands of the host: data, training, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_res.cli.app import app, number

# Options that trainings have in common.
Data = Annotated[Path, typer.Argument(help="A manifest CSV (file, label, group), or a folder of folders of clips.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="Only this set of the manifest. Repeatable.")]
Recipe = Annotated[
    str | None, typer.Option(help="keywords, environment, bearing, ceiling-fan, arabic …, or a TOML file.")
]
Labels = Annotated[
    str | None, typer.Option(help="The labels to tell apart, a,b,c; default: all. Others are _unknown_.")
]
WindowKind = Annotated[
    Literal["words", "stretches"] | None,
    typer.Option(help="words: short sounds, each whole in a window; stretches: any part of a longer recording."),
]
Hop = Annotated[int | None, typer.Option(min=1, help="Frames between two decisions.")]
Count = Annotated[int | None, typer.Option(min=1)]
Precision = Annotated[Literal["float32", "bfloat16"] | None, typer.Option(help="Of the training.")]
Split = Annotated[
    Literal["group", "time"] | None,
    typer.Option(help="What keeps training and validation apart: groups, or the time in each recording."),
]
Share = Annotated[
    float | None, typer.Option(callback=number, help="The share of the groups, or of the time, to validate on.")
]
ValidationGroups = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Validate on the groups whose name has this, and on no other.")
]
GroupPattern = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Finds the group (speaker, session) in a file's name.")
]
Seed = Annotated[int | None, typer.Option(min=0)]


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")] = Path("runs/new"),
    recipe: Recipe = None,
    labels: Labels = None,
    sets: Sets = None,
    arch: Annotated[
        str | None,
        typer.Option(
            help="resnet8, 14, 20 … 1202, resnet18 … 152, plain8 …, svm; default: the recipe's, else resnet8."
        ),
    ] = None,
    time_padding: Annotated[
        Literal["valid", "same"] | None,
        typer.Option(help="valid: runs on a stream; same: as in the paper, whole windows only."),
    ] = None,
    windows: WindowKind = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of the window.")] = None,
    hop: Hop = None,
    epochs: Count = None,
    batch: Count = None,
    patience: Annotated[
        int | None, typer.Option(min=0, help="End after this many epochs without a better validation; 0: never.")
    ] = None,
    precision: Precision = None,
    teacher: Annotated[str | None, typer.Option(help="The run folder of a larger network to learn from.")] = None,
    split: Split = None,
    validation: Share = None,
    validation_groups: ValidationGroups = None,
    group_pattern: GroupPattern = None,
    seed: Seed = None,
    threads: Count = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was ended.")] = False,
) -> None:
    """Train a network on clips; writes a run folder for `edgeres export`."""
    from edge_res.commands.train import names_of, run, settings_of, splits_of

    asked = {
        "labels": names_of(labels), "sets": tuple(sets) if sets else None, "windows": windows, "frames": frames,
        "hop": hop, "epochs": epochs, "batch": batch, "patience": patience, "precision": precision, "teacher": teacher,
        "seed": seed, "threads": threads,
    }  # fmt: skip
    splits = splits_of(split, validation, validation_groups, group_pattern)
    run(data, out, settings_of(recipe, asked, {"arch": arch, "time_padding": time_padding}, splits), resume)


@app.command("fetch-data")
def fetch_data(
    name: Annotated[Literal["speech-commands", "esc50"], typer.Argument(help="The public data set.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to put it in, and its archive.")] = Path("data"),
    sha256: Annotated[
        str | None, typer.Option(help="The checksum that the archive must have; default: the published one.")
    ] = None,
    url: Annotated[str | None, typer.Option(hidden=True, help="A mirror of the archive.")] = None,
) -> None:
    """Download a public data set to train on; run again, it resumes."""
    from edge_res.commands.fetch_data import run

    run(name, out, url, sha256)


@app.command()
def compare(
    data: Data,
    arch: Annotated[str, typer.Option(help="Architectures: svm,plain14,resnet14 …")] = "svm,plain14,resnet14",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for their runs and bundles.")] = Path(
        "runs/compare"
    ),
    recipe: Recipe = None,
    labels: Labels = None,
    sets: Sets = None,
    windows: WindowKind = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of the window, at least.")] = None,
    hop: Hop = None,
    epochs: Count = None,
    batch: Count = None,
    precision: Precision = None,
    split: Split = None,
    validation: Share = None,
    validation_groups: ValidationGroups = None,
    group_pattern: GroupPattern = None,
    seed: Seed = None,
    threads: Count = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Train, export and measure several architectures on the same data."""
    from edge_res.commands.compare import run
    from edge_res.commands.train import names_of, settings_of, splits_of

    asked = {
        "labels": names_of(labels), "sets": tuple(sets) if sets else None, "windows": windows, "frames": frames,
        "hop": hop, "epochs": epochs, "batch": batch, "precision": precision, "seed": seed, "threads": threads,
    }  # fmt: skip
    splits = splits_of(split, validation, validation_groups, group_pattern)
    run(data, out, settings_of(recipe, asked, {}, splits), list(names_of(arch) or ()), json)


@app.command()
def export(
    model: Annotated[Path, typer.Argument(metavar="RUN_OR_ONNX", help="A run folder of `train`, or an ONNX file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The bundle to write.")] = Path("model.edgeres"),
    data: Annotated[
        Path | None, typer.Option(help="The data of the run, where they are no longer where they were.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="For an ONNX file: a TOML file with labels, front-end and calibration clips.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name; default: the file's.")] = None,
    ranges: Annotated[
        Literal["minmax", "percentile", "entropy"] | None,
        typer.Option(help="How activation ranges are found; default: minmax."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="A folder of clips that show the ranges; default: the training data, or what --config says."),
    ] = None,
    target: Annotated[Literal["tensorrt"] | None, typer.Option(help="Add a symmetric int8 model for TensorRT.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Put the plain ONNX files beside the bundle.")] = False,
    tflite: Annotated[bool, typer.Option("--tflite", help="Put the plain TFLite files beside the bundle.")] = False,
) -> None:
    """Quantize a network to int8 and write a bundle; writes nothing that fails its checks."""
    from edge_res.commands.export import ExportOptions, run

    run(ExportOptions(model, out, data, config, name or out.stem, ranges, calibration, target, onnx, tflite))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A bundle, `default`, `tiny`, or A+B: an ensemble.")],
    data: Annotated[Path, typer.Argument(help="A manifest CSV (file, label), or a folder of folders of clips.")],
    sets: Annotated[list[str] | None, typer.Option("--set", help="Only this set of the manifest. Repeatable.")] = None,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="Only clips of the groups that validated the model, by its own split.")
    ] = False,
    engine: Annotated[str | None, typer.Option(help="litert, onnxruntime or tflite-runtime.")] = None,
    mode: Annotated[
        Literal["step", "window"] | None, typer.Option(help="Compute what a hop adds, or the whole window each time.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of the engine.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tell a model's accuracy on clips, with the integers that will run."""
    from edge_res.commands.evaluate import EvaluateOptions, run

    run(EvaluateOptions(model, data, tuple(sets or ()), unseen, engine, mode, threads, json))
