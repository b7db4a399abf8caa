"""Commands of the host: data, training, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_res.cli.app import app


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="A manifest CSV (file, label, group), or a folder of folders of clips.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The run folder to write.")] = Path("runs/new"),
    recipe: Annotated[
        str | None, typer.Option(help="keywords, environment, bearing, ceiling-fan, arabic …, or a TOML file.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="The labels to tell apart, a,b,c; default: all. Others are _unknown_.")
    ] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Only this set of the manifest. Repeatable.")] = None,
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
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of the window.")] = None,
    hop: Annotated[int | None, typer.Option(min=1, help="Frames between two decisions.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch: Annotated[int | None, typer.Option(min=1)] = None,
    patience: Annotated[
        int | None, typer.Option(min=0, help="End after this many epochs without a better validation; 0: never.")
    ] = None,
    precision: Annotated[Literal["float32", "bfloat16"] | None, typer.Option(help="Of the training.")] = None,
    teacher: Annotated[str | None, typer.Option(help="The run folder of a larger network to learn from.")] = None,
    split: Annotated[
        Literal["group", "time"] | None,
        typer.Option(help="What keeps training and validation apart: groups, or the time in each recording."),
    ] = None,
    validation: Annotated[
        float | None, typer.Option(help="The share of the groups, or of the time, to validate on.")
    ] = None,
    validation_groups: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Validate on the groups whose name has this, and on no other.")
    ] = None,
    group_pattern: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Finds the group (speaker, session) in a file's name.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was ended.")] = False,
) -> None:
    """Train a network on clips; writes a run folder for `edgeres export`."""
    from edge_res.commands.train import names_of, run, settings_of

    asked = {
        "labels": None if labels is None else names_of(labels), "sets": tuple(sets) if sets else None,
        "frames": frames, "hop": hop, "epochs": epochs,
        "batch": batch, "patience": patience, "precision": precision, "teacher": teacher, "seed": seed,
        "threads": threads,
    }  # fmt: skip
    splits = {
        "by_time": None if split is None else ("*",) if split == "time" else (), "validation": validation,
        "validation_groups": validation_groups, "group_pattern": group_pattern,
    }  # fmt: skip
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
    data: Annotated[Path, typer.Argument(help="A manifest CSV (file, label, group), or a folder of folders of clips.")],
    arch: Annotated[str, typer.Option(help="Architectures: svm,plain14,resnet14 …")] = "svm,plain14,resnet14",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for their runs and bundles.")] = Path(
        "runs/compare"
    ),
    recipe: Annotated[str | None, typer.Option(help="The recipe that all are trained by.")] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="Only this set of the manifest. Repeatable.")] = None,
    labels: Annotated[str | None, typer.Option(help="The labels to tell apart, a,b,c.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of the window, at least.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    precision: Annotated[Literal["float32", "bfloat16"] | None, typer.Option(help="Of the training.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Train, export and measure several architectures on the same data."""
    from edge_res.commands.compare import run
    from edge_res.commands.train import names_of, settings_of

    asked = {
        "labels": None if labels is None else names_of(labels), "sets": tuple(sets) if sets else None,
        "frames": frames, "epochs": epochs, "precision": precision, "seed": seed,
    }  # fmt: skip
    run(data, out, settings_of(recipe, asked, {}, {}), list(names_of(arch)), json)


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
