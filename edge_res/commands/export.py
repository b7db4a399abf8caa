"""`edgeres export`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from edge_res.errors import ConfigError, ExportError, OutputError
from edge_res.telling import say
from edge_res.writing import replace_file

if TYPE_CHECKING:
    from edge_res.export.bundling.material import Material
    from edge_res.model.bundle import Bundle

_ONNX_FILE = "For an ONNX file"


def export(
    *,
    model: Annotated[
        Path, typer.Argument(metavar="RUN_OR_ONNX", help="Network: a run folder of `edgeres train`, or an ONNX file.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Bundle to write.")] = Path("model.edgeres"),
    name: Annotated[
        str | None, typer.Option(metavar="NAME", show_default="the file's", help="Name of the model in the bundle.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", show_default="where it was", help="Training data of the run, if it has been moved."
        ),
    ] = None,
    ranges: Annotated[
        Literal["minmax", "percentile", "entropy"] | None,
        typer.Option(
            metavar="METHOD",
            show_default="minmax",
            help="Method for finding the ranges of activations: minmax, percentile or entropy.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default="the training data",
            help="Folder of clips from which to find the ranges of activations.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml", help="Configuration of an ONNX file: its labels, front-end and calibration clips."
        ),
    ] = None,
    target: Annotated[
        Literal["tensorrt"] | None,
        typer.Option(help="Target for which to add another model; `tensorrt` adds a symmetric int8 one."),
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write the ONNX models as separate files beside the bundle, too.")
    ] = False,
    tflite: Annotated[
        bool, typer.Option("--tflite", help="Write the TFLite models as separate files beside the bundle, too.")
    ] = False,
) -> None:
    """Quantize a network to int8, check the result and write it as a bundle. If a check fails, nothing is written."""
    check_target(out)
    with Console(stderr=True).status("reading recordings") as status:
        material = gather(model, data=data, config=config, ranges=ranges, calibration=calibration)
        from edge_res.export.bundling.packaging import build

        bundle = build(material, out, name or out.stem, ranges or "minmax", target, status.update)
        if model.suffix != ".onnx":
            from edge_res.export.training.report import add_export

            add_export(model, bundle)
    for suffix, wanted in (("onnx", onnx), ("tflite", tflite)):
        for file in [file for file in bundle.files if wanted and file.endswith(suffix)]:
            write_plain(out.with_name(f"{out.stem}.{file}"), bundle.files[file])
    for line in summary(out, bundle):
        say(line)


def gather(
    model: Path, *, data: Path | None, config: Path | None, ranges: str | None, calibration: Path | None
) -> Material:
    """The material of a run folder or of an ONNX file; an option that has no effect on it is a `ConfigError`."""
    if model.suffix == ".onnx":
        from edge_res.export.bundling.answers import is_quantized
        from edge_res.export.bundling.foreign import from_onnx

        if data is not None:
            raise ConfigError(
                f"--data is for a run folder, and {model} is an ONNX file; name its recordings with --calibration."
            )
        if config is None:
            raise ConfigError(
                f"{model} does not state its labels, front-end and calibration recordings; describe them with "
                "--config model.toml (docs/reference/onnx.md shows one)."
            )
        material = from_onnx(model, config, calibration)
        if ranges is not None and is_quantized(material.network):
            raise ConfigError(f"{model} is already quantized and keeps its ranges; leave --ranges out.")
        return material
    if config is not None:
        raise ConfigError(
            f"--config describes an ONNX file, and {model} is a run folder, which needs none; leave it out."
        )
    from edge_res.export.bundling.trained import from_run  # requires PyTorch

    return from_run(model, data, calibration)


def check_target(out: Path) -> None:
    """Refuse a file that cannot be written, before all the work."""
    if out.is_dir():
        raise ConfigError(f"-o {out} is a folder; name a file in it, such as {out / 'model.edgeres'}.")
    if not out.parent.is_dir():
        raise ConfigError(f"-o {out}: there is no folder {out.parent}; create it first.")
    if not os.access(out.parent, os.W_OK):
        raise ConfigError(f"-o {out}: {out.parent} is not writable; name another folder.")


def write_plain(path: Path, content: bytes) -> None:
    """Write a file beside the bundle."""
    try:
        replace_file(path, content, hint="the bundle is complete")
    except OutputError as error:
        raise ExportError(str(error)) from None


def summary(out: Path, bundle: Bundle) -> list[str]:
    """Sizes, costs and accuracy of the bundle, a line each."""
    from edge_res.evaluation.metrics import judged_on

    manifest, metrics = bundle.manifest, bundle.manifest.metrics
    network = manifest.network
    told = [f"{out}: {out.stat().st_size:,} bytes; " + ", ".join(sorted(bundle.files))]
    if "macs_hop" in network:
        ratio = network["macs_window"] / network["macs_hop"]
        told.append(f"{network['macs_hop']:,} multiply-adds a hop, {ratio:.1f} times fewer than for a window")
    else:
        told.append(f"window model only: {network['window_only']}")
    if accuracy := metrics.get("validation_int8"):
        low, high = accuracy["interval"]
        told.append(f"int8 accuracy {accuracy['accuracy']:.1%} ({low:.1%} to {high:.1%}, n = {accuracy['n']})")
    if accuracy := metrics.get("validation_float"):
        told[-1] += f", float {accuracy['accuracy']:.1%}"
    if same := manifest.training.get("same_session"):
        told[-1] += f", {judged_on(same, manifest.labels)}"
    for key, what in (("agreement_int8", "int8"), ("agreement_symmetric", "symmetric int8 for TensorRT")):
        if alike := metrics.get(key):
            told.append(
                f"{what} against the given file in ONNX Runtime, on {alike['windows']} calibration windows: the same "
                f"label in {alike['same_label']:.1%}; logits up to {alike['largest_logit']:.3g} differ by at most "
                f"{alike['largest_difference']:.2g}"
            )
    if accuracy := metrics.get("validation_symmetric"):
        told.append(
            f"symmetric int8 for TensorRT, never run there: accuracy {accuracy['accuracy']:.1%} in ONNX Runtime"
        )
    if stream := metrics.get("validation_stream"):
        told.append(
            f"on a stream of {stream['audio_s']:.0f} s: {stream['hits']} of {stream['words']} words heard, "
            f"{stream['false_events']} false events, {manifest.delay_s:.2f} s from onset to event"
        )
    return told
