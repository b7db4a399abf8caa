"""`edgeres info`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_res.commands.options import Bundle as BundleArgument
from edge_res.commands.options import Json
from edge_res.telling import plain
from edge_res.writing import writing

if TYPE_CHECKING:
    from edge_res.model.bundle import Bundle


def info(*, model: BundleArgument = "default", as_json: Json = False) -> None:
    """Show what a bundle contains: labels, front-end, network, accuracy, files."""
    from edge_res.model.bundle import read_bundle

    bundle = read_bundle(model)
    if as_json:
        with writing():
            print(json.dumps(describe(bundle), ensure_ascii=False), flush=True)
        return
    rows = Table(show_header=False, box=None, padding=(0, 2))
    for name, text in sentences(bundle).items():
        rows.add_row(Text(name, style="bold"), Text(plain(text)))
    with writing():
        Console().print(rows)


def describe(bundle: Bundle) -> dict[str, Any]:
    """All of the manifest, and the bytes of each file."""
    manifest = bundle.manifest
    return {
        **{name: getattr(manifest, name) for name in ("name", "labels", "background", "frames", "hop", "delay_s")},
        "front_end": manifest.front_end.to_dict(),
        "decide": asdict(manifest.decide),
        "network": dict(manifest.network),
        "metrics": dict(manifest.metrics),
        "training": dict(manifest.training),
        "tools": dict(manifest.tools),
        "member_bytes": {name: len(content) for name, content in sorted(bundle.files.items())},
    }


def sentences(bundle: Bundle) -> dict[str, str]:
    """The same for a person."""
    from edge_res.evaluation.metrics import judged_on

    manifest, network = bundle.manifest, bundle.manifest.network
    params = manifest.front_end
    frame_s = params.hop_length / params.sample_rate_hz
    window_s = params.samples_of(manifest.frames) / params.sample_rate_hz
    told = {
        "name": manifest.name,
        "labels": ", ".join(label for label in manifest.labels if label not in manifest.background),
        "background": ", ".join(manifest.background) or "none",
        "front-end": f"{params.kind}, {params.bins} bins of {params.low_hz:g} to {params.high_hz:g} Hz, "
        f"{params.channels} channel{'s' * (params.channels > 1)} at {params.sample_rate_hz} Hz, "
        f"n_fft {params.n_fft}, win_length {params.win_length}, hop_length {params.hop_length}",
        "window": f"{manifest.frames} frames ({window_s:.2f} s)",
        "hop": f"{manifest.hop} frames ({1000 * manifest.hop * frame_s:g} ms)",
        "delay": f"{manifest.delay_s:g} s from onset to event",
        "thresholds": ", ".join(f"{label} {value:g}" for label, value in manifest.decide.thresholds.items()),
    }
    told |= told_or_raw("network", network, network_sentences)
    for name, title in (("validation_int8", "accuracy, int8"), ("validation_float", "accuracy, float")):
        told |= told_or_raw(title, manifest.metrics.get(name), partial(accuracy, title))
    same = manifest.training.get("same_session")
    told |= told_or_raw("validated", same, lambda labels: {"validated": judged_on(labels, manifest.labels)})
    told["files"] = ", ".join(f"{name} {len(content):,}" for name, content in sorted(bundle.files.items()))
    if "window-symmetric.onnx" in bundle.files:
        told["for TensorRT"] = "window-symmetric.onnx, never run on TensorRT"
    if "manifest_sha256" in manifest.training:
        told["trained on"] = f"data whose manifest has the SHA-256 {manifest.training['manifest_sha256']}"
    told["made with"] = ", ".join(f"{name} {version}" for name, version in manifest.tools.items())
    return told


def told_or_raw(title: str, figures: Any, tell: Callable[[Any], dict[str, str]]) -> dict[str, str]:
    """Figures in sentences; as JSON where another program wrote them and no sentence fits."""
    if not figures:
        return {}
    try:
        return tell(figures)
    except (KeyError, TypeError, ValueError):
        return {title: json.dumps(figures, ensure_ascii=False)}


def network_sentences(network: Mapping[str, Any]) -> dict[str, str]:
    """The network's size and cost."""
    return {
        "network": f"{network['parameters']:,} parameters, receptive field {network['receptive_field']} frames, "
        f"time stride {network['time_stride']}",
        "multiply-adds": f"{network['macs_window']:,} a window"
        + (f", {network['macs_hop']:,} a hop" if "macs_hop" in network else ""),
        "state": f"{network['state_bytes']:,} bytes"
        if "state_bytes" in network
        else str(network.get("window_only", "")),
    }


def accuracy(title: str, metrics: Mapping[str, Any]) -> dict[str, str]:
    """An accuracy with its interval."""
    low, high = metrics["interval"]
    return {title: f"{metrics['accuracy']:.1%} ({low:.1%} to {high:.1%}, n = {metrics['n']})"}
