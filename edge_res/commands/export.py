"""`edgeres export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from edge_res.bundle import Bundle, write_whole
from edge_res.errors import ConfigError
from edge_res.export.material import Material, from_onnx, from_run
from edge_res.export.packaging import build
from edge_res.export.report import add_export


@dataclass(frozen=True)
class ExportOptions:
    """What was asked for on the command line."""

    model: Path
    out: Path
    data: Path | None
    config: Path | None
    name: str
    calibration: str
    target: str | None
    onnx: bool
    tflite: bool


def run(options: ExportOptions) -> None:
    """Export with a spinner on a terminal, and say what the bundle is worth."""
    console = Console(stderr=True)
    with console.status("reading recordings") as status:
        material = gather(options)
        bundle = build(material, options.out, options.name, options.calibration, options.target, status.update)
        if options.model.suffix != ".onnx":
            add_export(options.model, bundle)
    for suffix, wanted in (("onnx", options.onnx), ("tflite", options.tflite)):
        for member in [name for name in bundle.members if wanted and name.endswith(suffix)]:
            write_whole(options.out.with_name(f"{options.out.stem}.{member}"), bundle.members[member])
    console.print("\n".join(summary(options.out, bundle)), highlight=False, soft_wrap=True)


def gather(options: ExportOptions) -> Material:
    """The material of a run folder or of an ONNX file."""
    if options.model.suffix == ".onnx":
        if options.config is None:
            raise ConfigError(
                f"{options.model} does not say its labels, front-end and calibration recordings; give --config "
                "model.toml (docs/export.md shows one)."
            )
        return from_onnx(options.model, options.config)
    return from_run(options.model, options.data)


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
