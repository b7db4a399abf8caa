"""Several architectures on the same data, each trained, exported and measured in the same way."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import matplotlib.figure
from matplotlib.axes import Axes

from edge_res.errors import ConfigError
from edge_res.export.bundling.packaging import build
from edge_res.export.bundling.trained import from_run
from edge_res.export.nets import architectures
from edge_res.export.training.latency import microseconds_a_hop
from edge_res.export.training.runs import read_run
from edge_res.export.training.settings import TrainSettings
from edge_res.export.training.trainer import Progress, train
from edge_res.model.bundle import Bundle, read_bundle

# Colour, and how many points above its marker a name is written.
_KINDS = {"plain": ("#dc2626", -12), "resnet": ("#2563eb", 6), "svm": ("#6b7280", -12)}


@dataclass(frozen=True)
class Row:
    """Accuracy and cost of one architecture."""

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
    """Train, export and measure each architecture; one with a finished run in `out` is not trained again."""
    if not archs:
        raise ConfigError("No architecture was given; name some, such as --arch svm,plain14,resnet14.")
    rows = []
    fitted = {arch: fitting(replace(settings, net=replace(settings.net, arch=arch))) for arch in archs}
    for arch, asked in fitted.items():
        if asked.frames != settings.frames:
            say(f"{arch} gets windows of {asked.frames} frames, as {settings.frames} do not fit it")
        folder = out / arch
        if not (folder / "run.json").exists():
            train(data, folder, asked, partial(tell, arch), partial(_say_of, arch, say), resume=True)
        elif read_run(folder).settings != asked:
            say(f"{folder} was trained with other settings, and is used as it is")
        path = out / f"{arch}.edgeres"
        if path.exists():
            bundle = read_bundle(str(path))
        else:
            bundle = build(from_run(folder, data), path, arch, "minmax", None, partial(_say_of, arch, say))
        rows.append(row_of(arch, bundle))
    return rows


def _say_of(arch: str, say: Callable[[str], None], sentence: str) -> None:
    say(f"{arch}: {sentence}")


def fitting(settings: TrainSettings) -> TrainSettings:
    """The settings with the fewest frames, at least as many as asked for, that fit the architecture and the hop."""
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
        bytes=len(bundle.files[member]),
        us_hop=microseconds_a_hop(bundle),
    )


def plot(rows: Sequence[Row]) -> bytes:
    """A PNG of the accuracy, in float with its interval and in int8, against each kind of cost."""
    figure = matplotlib.figure.Figure(figsize=(11, 8), layout="constrained")
    costs: Mapping[str, Callable[[Row], float]] = {
        "million multiply-adds per hop": lambda row: row.macs_hop / 1e6,
        "thousand parameters": lambda row: row.parameters / 1e3,
        "kB of the model file": lambda row: row.bytes / 1e3,
        "µs per hop on this machine": lambda row: row.us_hop,
    }
    panels = list(figure.subplots(2, 2, sharey=True).flat)
    for axes, (name, cost) in zip(panels, costs.items(), strict=True):
        for kind, (colour, above) in _KINDS.items():
            draw(axes, [row for row in rows if row.arch.startswith(kind)], cost, kind, colour, above)
        axes.plot([cost(row) for row in rows], [100 * row.int8_accuracy for row in rows], "kx", zorder=3, label="int8")
        axes.set(xscale="log", xlabel=name)
        axes.margins(x=0.15)
        axes.grid(alpha=0.3)
    for axes in panels[::2]:
        axes.set_ylabel("validation accuracy, % (95 % interval)")
    panels[0].legend()
    packed = io.BytesIO()
    figure.savefig(packed, format="png", dpi=120)
    return packed.getvalue()


def draw(axes: Axes, rows: Sequence[Row], cost: Callable[[Row], float], kind: str, colour: str, above: int) -> None:
    """The networks of one kind, joined by a line, each with its name."""
    if not rows:
        return
    errors = [[100 * abs(row.accuracy - row.interval[end]) for row in rows] for end in (0, 1)]
    xs, ys = [cost(row) for row in rows], [100 * row.accuracy for row in rows]
    axes.errorbar(xs, ys, errors, fmt="o-", capsize=4, color=colour, label=kind)
    for row, x, y in zip(rows, xs, ys, strict=True):
        axes.annotate(row.arch, (x, y), xytext=(6, above), textcoords="offset points", fontsize=8, color=colour)
