"""`edgeres export`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from edge_res.errors import ConfigError, ExportError
from edge_res.evaluation.metrics import judged_on
from edge_res.export.bundling.answers import is_quantized
from edge_res.export.bundling.foreign import from_onnx
from edge_res.export.bundling.material import Material, from_run
from edge_res.export.bundling.packaging import build
from edge_res.export.training.report import add_export
from edge_res.model.bundle import Bundle
from edge_res.writing import write_whole


@dataclass(frozen=True)
class ExportOptions:
    """What was asked for on the command line."""

    model: Path
    out: Path
    data: Path | None
    config: Path | None
    name: str
    ranges: str | None
    calibration: Path | None
    target: str | None
    onnx: bool
    tflite: bool


def run(options: ExportOptions) -> None:
    """Export with a spinner on a terminal, and say what the bundle is worth."""
    check_target(options.out)
    console = Console(stderr=True)
    with console.status("reading recordings") as status:
        material = gather(options)
        bundle = build(material, options.out, options.name, options.ranges or "minmax", options.target, status.update)
        if options.model.suffix != ".onnx":
            add_export(options.model, bundle)
    for suffix, wanted in (("onnx", options.onnx), ("tflite", options.tflite)):
        for member in [name for name in bundle.members if wanted and name.endswith(suffix)]:
            write_plain(options.out.with_name(f"{options.out.stem}.{member}"), bundle.members[member])
    console.print("\n".join(summary(options.out, bundle)), highlight=False, markup=False, soft_wrap=True)


def gather(options: ExportOptions) -> Material:
    """The material of a run folder or of an ONNX file; an option that means nothing for it is a `ConfigError`."""
    if options.model.suffix == ".onnx":
        if options.data is not None:
            raise ConfigError(
                f"--data is for a run folder and {options.model} is an ONNX file; --calibration FOLDER names its "
                "recordings."
            )
        if options.config is None:
            raise ConfigError(
                f"{options.model} does not say its labels, front-end and calibration recordings; give --config "
                "model.toml (docs/reference/onnx.md shows one)."
            )
        material = from_onnx(options.model, options.config, options.calibration)
        if options.ranges is not None and is_quantized(material.network):
            raise ConfigError(f"{options.model} is quantized already and keeps its ranges; leave --ranges out.")
        return material
    if options.config is not None:
        raise ConfigError(
            f"--config describes an ONNX file and {options.model} is a run folder, which says all that; leave it out."
        )
    return from_run(options.model, options.data, options.calibration)


def check_target(out: Path) -> None:
    """Refuse a file that could not be written, before all the work."""
    if out.is_dir():
        raise ConfigError(f"-o {out} is a folder; name a file in it, such as {out / 'model.edgeres'}.")
    if not out.parent.is_dir():
        raise ConfigError(f"-o {out}: there is no folder {out.parent}; make it first.")
    if not os.access(out.parent, os.W_OK):
        raise ConfigError(f"-o {out}: nothing can be written in {out.parent}; name another folder.")


def write_plain(path: Path, content: bytes) -> None:
    """A file beside the bundle."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}; the bundle is whole.") from None


def summary(out: Path, bundle: Bundle) -> list[str]:
    """What the bundle is worth, a line each."""
    manifest, metrics = bundle.manifest, bundle.manifest.metrics
    network = manifest.network
    told = [f"{out}: {out.stat().st_size:,} bytes; " + ", ".join(sorted(bundle.members))]
    if "macs_hop" in network:
        ratio = network["macs_window"] / network["macs_hop"]
        told.append(f"{network['macs_hop']:,} multiply-adds a hop, {ratio:.1f} times fewer than a window takes")
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
                f"{what} and the given file in ONNX Runtime, on {alike['windows']} calibration windows: the same label "
                f"in {alike['same_label']:.1%}, logits of up to {alike['largest_logit']:.3g} at most "
                f"{alike['largest_difference']:.2g} apart"
            )
    if accuracy := metrics.get("validation_symmetric"):
        told.append(
            f"symmetric int8 for TensorRT, where it was never run: accuracy {accuracy['accuracy']:.1%} in ONNX Runtime"
        )
    if stream := metrics.get("validation_stream"):
        told.append(
            f"on a stream of {stream['audio_s']:.0f} s: {stream['hits']} of {stream['words']} words heard, "
            f"{stream['false_events']} false events, {manifest.delay_s:.2f} s from onset to event"
        )
    return told
