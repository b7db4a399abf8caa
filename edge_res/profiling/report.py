"""A profile as JSON: made, and read again. `docs/reference/json-reports.md` documents it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edge_res.devices.detect import detect
from edge_res.devices.machine import machine_name, processor, read_board, read_memory_bytes
from edge_res.errors import ConfigError, EngineError, ModelError
from edge_res.model.bundle import Bundle, bundle_hash
from edge_res.model.ensemble import merged
from edge_res.profiling.estimate import work_of
from edge_res.profiling.observe import limits
from edge_res.profiling.recommend import Recommendation
from edge_res.profiling.rows import Row
from edge_res.profiling.sensors import Sensed
from edge_res.version import __version__

SCHEMA = 1

Report = dict[str, Any]


def describe_machine(root: Path = Path("/")) -> dict[str, Any]:
    """What a profile keeps about the machine; `file` is the device file that fits it, at worst a generic one."""
    return {
        "name": machine_name(root),
        "file": detect(root).name,
        "board": read_board(root).model,
        "processor": processor(root),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": read_memory_bytes(root),
        "limits": limits(root),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def describe_bundle(bundles: Sequence[Bundle]) -> dict[str, Any]:
    """What determines the cost of a model, and whether two profiles are of the same model."""
    manifest = merged([bundle.manifest for bundle in bundles])
    params = manifest.front_end
    frame_ms = 1000 * params.hop_length / params.sample_rate_hz
    return {
        "name": manifest.name,
        "sha256": bundle_hash(bundles),
        "hop_ms": round(manifest.hop * frame_ms, 6),
        "window_ms": round(manifest.frames * frame_ms, 6),
        "network": [dict(bundle.manifest.network) for bundle in bundles],
        "work": described_work(bundles),
    }


def described_work(bundles: Sequence[Bundle]) -> dict[str, Any]:
    """The work of the bundles by mode, for estimates; empty if it cannot be counted."""
    try:
        return {mode: asdict(work) for mode, work in work_of(bundles).items()}
    except (EngineError, ModelError):
        return {}


def make_report(
    device: dict[str, Any],
    bundle: dict[str, Any],
    rows: Sequence[Row],
    found: tuple[Recommendation | None, str],
    sensed: tuple[Sensed, Sensed],
    rail: str,
    settings: dict[str, Any],
) -> Report:
    """A report of the rows; `device` as from `describe_machine`, `bundle` as from `describe_bundle`, `found` as from
    `recommend`, `sensed` before and after, `rail` as in `Sensors`."""
    recommendation, why_none = found
    return {
        "edgeres_profile": SCHEMA,
        "version": __version__,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": {**device, "before": asdict(sensed[0]), "after": asdict(sensed[1]), "rail": rail},
        "bundle": bundle,
        "settings": settings,
        "rows": [row.to_dict() for row in rows],
        "recommendation": asdict(recommendation) if recommendation else None,
        "why_none": why_none,
    }


def read_report(path: Path) -> Report:
    """A report that `edgeres profile --json` wrote; raises `ConfigError` for anything else."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no profile {path}; write one with `edgeres profile --json > {path}`.") from None
    except OSError as error:
        raise ConfigError(f"The profile {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        body = None
    if not is_report(body):
        raise ConfigError(f"{path} is not a profile; write one with `edgeres profile --json > {path}`.")
    report: Report = body
    if report["edgeres_profile"] != SCHEMA:
        raise ConfigError(
            f"The profile {path} has schema {report['edgeres_profile']!r}, and this edge_res reads schema {SCHEMA}; "
            "update edge_res, or profile again."
        )
    return report


def is_report(body: object) -> bool:
    """Whether a JSON value has the parts of a report that its readers rely on."""
    return (
        isinstance(body, dict)
        and "edgeres_profile" in body
        and isinstance(body.get("device"), dict)
        and isinstance(body.get("bundle"), dict)
        and isinstance(body.get("rows"), list)
        and all(isinstance(row, dict) and _is_row(row) for row in body["rows"])
    )


def _is_row(row: dict[str, Any]) -> bool:
    """Whether it names its combination and has a verdict."""
    names = row.get("engine"), row.get("mode"), row.get("verdict")
    return all(isinstance(name, str) for name in names) and type(row.get("threads")) is int
