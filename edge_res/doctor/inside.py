"""The questions that `probe.ask` runs in a separate process, which prints one line of JSON.

An `EdgeResError` is printed as {"error": its sentence}; any other failure ends the process, as it would end `edgeres
listen`.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from edge_res.errors import EdgeResError

_LISTEN_S = 0.5
_PATIENCE_S = 3.0


def main(name: str, *arguments: str) -> None:
    try:
        answer = QUESTIONS[name](*arguments)
    except EdgeResError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


def version(module: str) -> dict[str, Any]:
    """The version of a module, which is imported."""
    return {"version": str(getattr(importlib.import_module(module), "__version__", ""))}


def bundle(name: str) -> dict[str, Any]:
    """Read a bundled model and check its hashes."""
    from edge_res.model.bundle import read_bundle, read_golden

    found = read_bundle(name)
    read_golden(found)
    return {"name": found.manifest.name, "members": sorted(found.files)}


def engine(name: str) -> dict[str, Any]:
    """All checks of `edgeres verify` for the default bundle on one engine."""
    from edge_res.model.bundle import read_bundle, read_golden
    from edge_res.model.verify import verify

    found = read_bundle("default")
    return {"checks": [check.to_dict() for check in verify(found, *read_golden(found), [name])]}


def kernels(name: str) -> dict[str, Any]:
    """The engine's name and version after loading a small model, and the execution providers of ONNX Runtime."""
    from edge_res.engines import load_engine
    from edge_res.model.bundle import read_bundle
    from edge_res.model.models import load_runner

    found: dict[str, Any] = {"runs": load_runner(read_bundle("tiny"), load_engine(name), "window").engine}
    if name == "onnxruntime":
        from edge_res.engines.onnxruntime import providers

        found["providers"] = providers()
    return found


def inputs() -> dict[str, Any]:
    """PortAudio's inputs, without opening one, and the `reason` if there is none."""
    from edge_res.sources.mic.cards import why_not
    from edge_res.sources.mic.portaudio import PORTAUDIO

    return {"inputs": [str(device) for device in PORTAUDIO.inputs()[0]], "reason": why_not(None)}


def microphones() -> dict[str, Any]:
    """PortAudio's inputs, the `reason` if there is none, and what the default input delivers in half a second."""
    from edge_res.sources.mic.cards import why_not
    from edge_res.sources.mic.portaudio import PORTAUDIO

    devices, default = PORTAUDIO.inputs()
    found: dict[str, Any] = {"inputs": [str(device) for device in devices], "default": default, "reason": why_not(None)}
    if default >= 0:
        found.update(_heard())
    return found


def _heard() -> dict[str, Any]:
    """The number of `samples` received and their `peak`; or the error, as `refused`."""
    from edge_res.errors import SourceError
    from edge_res.flow import Block
    from edge_res.sources import Wanted
    from edge_res.sources.mic import Microphone

    samples, peak = 0, 0.0
    try:
        with Microphone("mic:", Wanted(16000, None, 0.1, give_up_s=_PATIENCE_S)) as microphone:
            until_s = time.monotonic() + _PATIENCE_S
            for block in microphone:
                if isinstance(block, Block):
                    samples += len(block.samples)
                    peak = max(peak, float(abs(block.samples).max(initial=0.0)))
                if samples >= _LISTEN_S * microphone.rate_hz or time.monotonic() > until_s:
                    break
            return {"device": microphone.device, "rate_hz": microphone.rate_hz, "samples": samples, "peak": peak}
    except SourceError as error:
        return {"refused": str(error)}


def saved() -> dict[str, Any]:
    """The machines that settings were saved for, and this one; an `error` if the file cannot be used."""
    from edge_res.config import read_toml
    from edge_res.devices.machine import machine_name
    from edge_res.measured import read_text, saved_settings, user_config

    path = user_config()
    found = {"path": str(path), "machine": machine_name()}
    try:
        saved_settings("")  # raises if the file is not TOML
        tables = read_toml(read_text(path)).get("measured", {})
        keys = tables if isinstance(tables, dict) else ()
        machines = {str(settings.machine) for key in keys if (settings := saved_settings(key))}
    except EdgeResError as error:
        return {**found, "error": str(error)}
    return {**found, "machines": sorted(machines)}


QUESTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "version": version,
    "bundle": bundle,
    "engine": engine,
    "kernels": kernels,
    "inputs": inputs,
    "microphones": microphones,
    "saved": saved,
}
