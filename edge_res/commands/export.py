"""`edgeres export`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from edge_res.export.packaging import export


def run(run_folder: Path, data: Path, out: Path, name: str) -> None:
    """Export with a spinner on a terminal, and say what the bundle is worth."""
    console = Console(stderr=True)
    with console.status("reading clips") as status:
        bundle = export(run_folder, data, out, name, status.update)
    metrics = bundle.manifest.metrics
    accuracy, stream = metrics["validation_int8"], metrics["validation_stream"]
    low, high = accuracy["interval"]
    console.print(
        f"{out}: {out.stat().st_size:,} bytes\n"
        f"int8 accuracy {accuracy['accuracy']:.1%} ({low:.1%} to {high:.1%}, n = {accuracy['n']}), "
        f"float {metrics['validation_float']['accuracy']:.1%}\n"
        f"on a stream of {stream['audio_s']:.0f} s: {stream['hits']} of {stream['words']} words heard, "
        f"{stream['false_events']} false events, {bundle.manifest.delay_s:.2f} s from onset to event",
        highlight=False,
        soft_wrap=True,
    )
