"""What `edgeres profile --save` has left in the user's configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_res.doctor.finding import Finding
from edge_res.doctor.probe import ask


def check_config(root: Path) -> Iterator[Finding]:
    """Whether the settings that were saved are of this machine."""
    answer = ask("saved")
    if answer.told is None:
        yield Finding("config", "unknown", f"The user's configuration cannot be looked at here: {answer.why}.")
    else:
        yield from judge_config(answer.told)


def judge_config(told: Mapping[str, Any]) -> Iterator[Finding]:
    """`told` is what `inside.saved` has found."""
    if "error" in told:
        yield Finding("config", "problem", str(told["error"]), f"mv {told['path']} {told['path']}.old")
    elif told["machine"] in told["machines"]:
        yield Finding("config", "ok", f"{told['path']} has settings for this machine.")
    elif told["machines"]:
        sentence = (
            f"The settings in {told['path']} were measured on another machine ({'; '.join(told['machines'])}), this is "
            f"{told['machine']}: they are not followed here."
        )
        yield Finding("config", "warning", sentence, "edgeres profile --save")
