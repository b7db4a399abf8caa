"""The settings that `edgeres profile --save` wrote to the user's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_res.doctor.finding import Finding
from edge_res.doctor.probe import ask


def check_config(root: Path) -> Iterator[Finding]:
    """Whether the saved settings belong to this machine."""
    answer = ask("saved")
    if answer.value is None:
        yield Finding("config", "unknown", f"The user's configuration cannot be checked here: {answer.why}.")
    else:
        yield from judge_config(answer.value)


def judge_config(saved: Mapping[str, Any]) -> Iterator[Finding]:
    """`saved` is what `inside.saved` returned."""
    if "error" in saved:
        yield Finding("config", "problem", str(saved["error"]), f"mv {saved['path']} {saved['path']}.old")
    elif saved["machine"] in saved["machines"]:
        yield Finding("config", "ok", f"{saved['path']} has settings for this machine.")
    elif saved["machines"]:
        sentence = (
            f"The settings in {saved['path']} were measured on another machine ({'; '.join(saved['machines'])}) "
            f"and are ignored here; this is {saved['machine']}."
        )
        yield Finding("config", "warning", sentence, "edgeres profile --save")
