"""The report of a run: one self-contained HTML file, rendered from `report.json` beside it."""

from __future__ import annotations

import base64
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import matplotlib.figure
import matplotlib.image
import numpy as np
import soundfile
from numpy.typing import NDArray

from edge_res.evaluation.metrics import judged_on
from edge_res.export.datasets.windows import Windows
from edge_res.export.training.latency import microseconds_a_hop
from edge_res.export.training.runs import Run, write_file
from edge_res.flow import Frames, Samples
from edge_res.model.bundle import Bundle

WORST = 20
GROUPS = 25
_LOWEST_PLAYABLE_HZ = 3000  # browsers do not play lower sample rates
_TEMPLATE = resources.files("edge_res.export.training") / "report.html.j2"


def write_report(out: Path, run: Run, windows: Windows, logits: NDArray[np.float32]) -> None:
    """Write `report.json` and `report.html` of a run; `logits` `(n, labels)` are those of the validation windows."""
    groups = run.metrics.get("per_group", {})
    clips, of = run.training["clips"], run.training["groups"]
    context = {
        "title": f"{out.name}: {run.settings.net.arch}",
        "labels": run.labels,
        "metrics": {name: value for name, value in run.metrics.items() if name != "history"},
        "same_session": bool(run.training["same_session"]),
        "judged_on": judged_on(run.training["same_session"], run.labels),
        "facts": facts_of(run),
        "int8": False,
        "curves": curves(run.metrics["history"]) if run.metrics["history"] else "",
        "per_label": per_label(run.metrics),
        "per_group": sorted(groups.items(), key=lambda item: float(item[1]["accuracy"]))[:GROUPS],
        "groups": len(groups),
        "worst": worst_windows(run, windows, logits),
        "data": f"{counted(clips['train'], 'clip')} from {counted(of['train'], 'group')} to train on, "
        f"{clips['validation']} from {of['validation']} to validate on; manifest SHA-256 "
        f"{run.training['manifest_sha256']}",
        "left_out": [*run.training["left_out"], *run.training["notes"]],
        "settings": json.dumps(run.training["settings"], indent=1),
    }
    render(out, context)


def add_export(out: Path, bundle: Bundle) -> None:
    """Add what the export found to a run's report: int8 accuracy, bytes, multiply-adds and latency."""
    try:
        context = json.loads((out / "report.json").read_bytes())
    except (OSError, ValueError):
        return  # a run without a report
    metrics, network = bundle.manifest.metrics, bundle.manifest.network
    int8 = metrics["validation_int8"]
    low, high = int8["interval"]
    mode = "step" if "macs_hop" in network else "window"
    flips = metrics.get("flips", [])
    facts = {
        "int8 accuracy": f"{int8['accuracy']:.1%} ({low:.1%} to {high:.1%}); {counted(len(flips), 'window')} with "
        "a different label than in float"
        + "".join(f"; {one['window']} {one['float']} → {one['int8']}" for one in flips),
        "multiply-adds": f"{network['macs_window']:,} per window"
        + (f", {network['macs_hop']:,} per hop" if mode == "step" else ""),
        "bytes": ", ".join(f"{name} {len(content):,}" for name, content in sorted(bundle.files.items())),
        "latency": f"{microseconds_a_hop(bundle)} µs per hop (LiteRT, {mode}, one thread, on the exporting machine)",
    }
    kept = [fact for fact in context["facts"] if fact[0] not in facts]
    render(out, {**context, "int8": True, "facts": [*kept, *facts.items()]})


def render(out: Path, context: dict[str, Any]) -> None:
    """Write both files."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    html = template.render(**context, percent=lambda share: f"{share:.1%}")
    write_file(out / "report.json", json.dumps(context).encode())
    write_file(out / "report.html", html.encode())


def counted(count: int, noun: str) -> str:
    """`1 channel`, `2 channels`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def facts_of(run: Run) -> list[tuple[str, str]]:
    """The network, its window, its front-end and its recipe."""
    settings, params = run.settings, run.front_end
    channels = counted(params.channels, "channel")
    window_s = params.samples_of(settings.frames) / params.sample_rate_hz
    hop_s = settings.hop * params.hop_length / params.sample_rate_hz
    return [
        ("network", f"{settings.net.arch}, {sum(p.numel() for p in run.model.parameters()):,} parameters"),
        ("window", f"{settings.frames} frames ({window_s:.2f} s), a decision every {settings.hop} ({hop_s:.3g} s)"),
        ("front-end", f"{params.kind}, {params.bins} bins, {channels} at {params.sample_rate_hz} Hz"),
        ("recipe", settings.recipe or "none"),
    ]  # fmt: skip


def per_label(metrics: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Accuracy, interval and number of each label."""
    intervals, numbers = metrics["per_label_interval"], metrics["per_label_n"]
    return [
        (label, {"accuracy": share, "interval": intervals[label], "n": numbers[label]})
        for label, share in metrics["per_label"].items()
    ]


def worst_windows(run: Run, windows: Windows, logits: NDArray[np.float32]) -> list[dict[str, Any]]:
    """The windows whose true label scored lowest, to look at and to listen to."""
    scores = np.exp(logits - logits.max(1, keepdims=True))
    scores /= scores.sum(1, keepdims=True)
    targets = windows.targets()
    own = scores[np.arange(len(targets)), targets]
    rows = []
    for i in np.argsort(own)[:WORST]:
        example, taken = windows.examples[i], int(scores[i].argmax())
        rows.append(
            {
                "label": run.labels[targets[i]],
                "score": float(own[i]),
                "taken": run.labels[taken],
                "taken_score": float(scores[i, taken]),
                "name": f"{example.clip.entry.path.name}, {example.clip.entry.group}" if example.clip else "background",
                "image": spectrogram(windows.frames(int(i))),
                "audio": wave(windows.samples(int(i)), run.front_end.sample_rate_hz),
            }
        )
    return rows


def spectrogram(frames: Frames) -> str:
    """A PNG of frames `(frames, bins, channels)`, with the channels stacked; base64."""
    image = np.concatenate([frames[:, :, c].T for c in range(frames.shape[2])])
    packed = io.BytesIO()
    matplotlib.image.imsave(packed, image, format="png", origin="lower", cmap="magma")
    return base64.b64encode(packed.getvalue()).decode()


def wave(samples: Samples, rate_hz: int) -> str:
    """The first channel as a WAV file, loud enough to hear; base64, or empty if browsers cannot play its rate."""
    if rate_hz < _LOWEST_PLAYABLE_HZ:
        return ""
    mono = samples[:, 0] - samples[:, 0].mean()
    packed = io.BytesIO()
    soundfile.write(packed, 0.5 * mono / max(float(np.abs(mono).max()), 1e-9), rate_hz, format="WAV")
    return base64.b64encode(packed.getvalue()).decode()


def curves(history: list[dict[str, Any]]) -> str:
    """A PNG of loss and validation accuracy by epoch, base64."""
    figure = matplotlib.figure.Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    left.plot(epochs, [one["loss"] for one in history], color="#2563eb")
    left.set(xlabel="epoch", ylabel="training loss")
    right.plot(epochs, [100 * one["accuracy"] for one in history], color="#2563eb")
    right.set(xlabel="epoch", ylabel="validation accuracy, %")
    packed = io.BytesIO()
    figure.savefig(packed, format="png", dpi=110)
    return base64.b64encode(packed.getvalue()).decode()
