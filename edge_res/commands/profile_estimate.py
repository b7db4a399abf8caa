"""`edgeres profile --estimate`."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from edge_res.devices import detect, known_devices
from edge_res.devices.files import devices_of_family, left_out, usable
from edge_res.devices.machine import machine_name
from edge_res.errors import ConfigError
from edge_res.measured import saved_profiles
from edge_res.model.ensemble import read_ensemble
from edge_res.profiling.estimate import (
    Estimate,
    Measurement,
    Peaks,
    all_peaks,
    calibrated,
    estimate,
    measurements,
    peaks_here,
    read_peaks,
    work_of,
)
from edge_res.profiling.report import Report, is_report
from edge_res.profiling.tables import table
from edge_res.telling import say
from edge_res.writing import writing

LABEL = "ESTIMATE, not measured"
_UNKNOWN = (
    "No stable profile of LiteRT with one thread is saved, so the error of this estimate is unknown; "
    "`edgeres profile --save` saves one."
)


def estimate_costs(*, model: str, device: str, as_json: bool) -> None:
    """Print how long a hop may take on a device, or on all whose files have a table [peaks]."""
    ensemble = read_ensemble(model)
    bundles, manifest = ensemble.bundles, ensemble.manifest
    hop_ms = 1000 * manifest.hop * manifest.front_end.hop_length / manifest.front_end.sample_rate_hz
    for sentence in left_out(known_devices()):
        say(sentence)
    known, here = all_peaks(), detect().name
    derived = None if here in known else peaks_here(here)
    if derived:
        known[here] = derived
    if device.endswith(".toml") and (own := read_peaks(Path(device))):
        device = own.device
        known[device] = own
    if device not in known and not (known and device == "all"):
        others = f"known are {', '.join(known)}" if known else "none of the bundled ones has it"
        raise ConfigError(f"{device!r} is not a device whose file has a table [peaks] to estimate from; {others}.")
    saved = [body for body in saved_profiles() if is_report(body) and not (derived and of_another(body, here))]
    measured = measurements(saved, known)
    works = work_of(bundles)
    if not works:
        for bundle in bundles:
            bundle.file("window.tflite")  # raises for the one that lacks it
    chosen = list(known.values()) if device == "all" else [known[device]]
    found = [calibrated(estimate(work, peaks, mode), measured) for peaks in chosen for mode, work in works.items()]
    with writing():
        if as_json:
            body = {
                "ESTIMATE": LABEL,
                "bundle": manifest.name,
                "hop_ms": hop_ms,
                "work": {mode: asdict(work) for mode, work in works.items()},
                "rows": [{"ESTIMATE": True, **asdict(one)} for one in found],
                "measured": [{**asdict(one), "ratio": round(one.ratio, 3)} for one in measured],
                "derived": asdict(derived) if derived else None,
            }
            print(json.dumps(body), flush=True)
        else:
            console = Console()
            show(console, manifest.name, hop_ms, found, measured)
            if derived and derived in chosen:
                console.print(derived_sentence(derived), markup=False, highlight=False)
            if device == "all" and (without := without_peaks(known)):
                sentence = f"Not estimated, since their files have no [peaks]: {', '.join(without)}."
                console.print(sentence, markup=False, highlight=False)


def of_another(report: Report, here: str) -> bool:
    """Whether a report is of another machine with the same generic file, to which peaks derived here do not apply."""
    device = report["device"]
    return bool(device.get("file") == here and device.get("name") != machine_name())


def derived_sentence(peaks: Peaks) -> str:
    return (
        f"{peaks.device} is this machine, whose device file has no [peaks]; derived from its cores' features at "
        f"{peaks.clock_hz / 1e6:.0f} MHz: {peaks.int8_macs_s / 1e9:.0f} int8 GMAC/s, "
        f"{peaks.fp32_flops_s / 1e9:.0f} GFLOP/s; measured: a copy moves {peaks.memory_bytes_s / 1e9:.0f} GB/s."
    )


def without_peaks(known: Collection[str]) -> list[str]:
    """The devices whose peaks are not `known`, without families."""
    devices = (device.name for device in usable(known_devices()))
    return [name for name in devices if name not in known and not devices_of_family(name)]


def show(
    console: Console, name: str, hop_ms: float, found: Sequence[Estimate], measured: Sequence[Measurement]
) -> None:
    console.print(f"{LABEL}: {name}, LiteRT, one thread, µs per hop of {hop_ms:g} ms", markup=False, style="bold")
    head = ("ESTIMATE", "mode", "at best", "likely", "at worst", "of the hop", "calibrated")
    console.print(table(head, (texts(one, hop_ms) for one in found)))
    for sentence in errors(measured):
        console.print(sentence, markup=False, highlight=False)


def texts(one: Estimate, hop_ms: float) -> list[str]:
    shares = f"{one.low_us / hop_ms / 1000:.1%} to {one.high_us / hop_ms / 1000:.1%}"
    times = (f"{value:.0f}" for value in (one.low_us, one.likely_us, one.high_us))
    return [one.device, one.mode, *times, shares, one.calibrated or "no"]


def errors(measured: Sequence[Measurement]) -> list[str]:
    """How far estimates are from measurements, before calibration."""
    if not measured:
        return [_UNKNOWN]
    return [
        f"ESTIMATE against measured, {one.device} {one.mode}: likely {one.estimate.likely_us:.0f} µs "
        f"({one.estimate.low_us:.0f} to {one.estimate.high_us:.0f}), measured {one.measured_us:.0f}: "
        f"{one.ratio:.2f} times, {'inside' if inside(one) else 'OUTSIDE'} the interval."
        for one in measured
    ]


def inside(one: Measurement) -> bool:
    return one.estimate.low_us <= one.measured_us <= one.estimate.high_us
