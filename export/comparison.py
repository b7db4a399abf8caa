"""Several architectures on the same data: each trained, exported and measured alike."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import matplotlib.figure

from edge_res.bundle import Bundle, read_bundle
from edge_res.export import architectures
from edge_res.export.latency import microseconds_a_hop
from edge_res.export.material import from_run
from edge_res.export.packaging import build
from edge_res.export.runs import read_run
from edge_res.export.settings import TrainSettings
from edge_res.export.training import Progress, train


@dataclass(frozen=True)
class Row:
    """What one architecture is worth, and costs."""

    arch: str
    frames: int
    accuracy: float
    interval: list[float]
    n: int
    int8_accuracy: float
    parameters: int
    macs_hop: int
    bytes: int
    us_hop: float


def compare(
    data: Path,
    out: Path,
    settings: TrainSettings,
    archs: Sequence[str],
    tell: Callable[[str, Progress], None],
    say: Callable[[str], None],
) -> list[Row]:
    """Train, export and measure each architecture; one whose run is finished in `out` is not trained again."""
    rows = []
    for arch in archs:
        asked = fitting(replace(settings, net=replace(settings.net, arch=arch)))
        if asked.frames != settings.frames:
            say(f"{arch} looks at {asked.frames} frames: {settings.frames} do not fit it")
        folder = out / arch
        if not (folder / "run.json").exists():
            train(data, folder, asked, partial(tell, arch), say, resume=True)
        elif read_run(folder).settings != asked:
            say(f"{folder} was trained with other settings, and is taken as it is")
        path = out / f"{arch}.edgeres"
        if path.exists():
            bundle = read_bundle(str(path))
        else:
            bundle = build(from_run(folder, data), path, arch, "minmax", None, say)
        rows.append(row_of(arch, bundle))
    return rows


def fitting(settings: TrainSettings) -> TrainSettings:
    """The settings with the fewest frames, but no fewer than asked for, that the architecture and the hop allow."""
    net, params = settings.net, settings.front_end.params()
    frames = -(-settings.frames // settings.hop) * settings.hop
    while True:
        network = architectures.network(
            net.arch, frames, params.bins, params.channels, 2, net.time_padding, net.widths, net.stem_strides,
            net.stage_strides,
        )  # fmt: skip
        if frames >= network.receptive_field:
            return replace(settings, frames=frames)
        frames += settings.hop


def row_of(arch: str, bundle: Bundle) -> Row:
    """The figures of a bundle."""
    manifest = bundle.manifest
    network, in_float = manifest.network, manifest.metrics["validation_float"]
    member = "step.tflite" if "macs_hop" in network else "window.tflite"
    return Row(
        arch=arch,
        frames=manifest.frames,
        accuracy=in_float["accuracy"],
        interval=in_float["interval"],
        n=in_float["n"],
        int8_accuracy=manifest.metrics["validation_int8"]["accuracy"],
        parameters=network["parameters"],
        macs_hop=network.get("macs_hop", network["macs_window"]),
        bytes=len(bundle.members[member]),
        us_hop=microseconds_a_hop(bundle),
    )


def plot(rows: Sequence[Row]) -> bytes:
    """A PNG: accuracy with its interval against multiply-adds a hop."""
    figure = matplotlib.figure.Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for kind, colour in (("plain", "#dc2626"), ("resnet", "#2563eb"), ("svm", "#6b7280")):
        of = [row for row in rows if row.arch.startswith(kind)]
        if of:
            below = [100 * (row.accuracy - row.interval[0]) for row in of]
            above = [100 * (row.interval[1] - row.accuracy) for row in of]
            xs, ys = [row.macs_hop / 1e6 for row in of], [100 * row.accuracy for row in of]
            axes.errorbar(xs, ys, [below, above], fmt="o-", capsize=4, color=colour, label=kind)
    for row in rows:
        axes.annotate(row.arch, (row.macs_hop / 1e6, 100 * row.accuracy), xytext=(6, 6), textcoords="offset points")
    axes.set(xscale="log", xlabel="million multiply-adds a hop", ylabel="validation accuracy, % (95 % interval)")
    axes.legend()
    axes.grid(alpha=0.3)
    packed = io.BytesIO()
    figure.savefig(packed, format="png", dpi=120)
    return packed.getvalue()
