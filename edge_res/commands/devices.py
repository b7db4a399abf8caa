"""`edgeres devices`."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_res.choices import ENGINES
from edge_res.commands.options import Json
from edge_res.devices import DeviceFile, describe_mismatch, detect, find_device, known_devices
from edge_res.devices.files import devices_of_family, is_own, left_out, usable
from edge_res.devices.machine import read_accelerators, read_board, read_cores, read_memory_bytes, read_system
from edge_res.devices.power import read_counters, read_rails
from edge_res.devices.readings import firmware_mhz, read_clocks, read_flags, read_temperatures
from edge_res.devices.schema import FIRMWARE, RAPL
from edge_res.doctor.packages import distributions_of, installed
from edge_res.doctor.probe import ask
from edge_res.errors import ConfigError
from edge_res.telling import say
from edge_res.writing import writing

SCHEMA = 1
_ROOT = Path("/")


def devices(
    *,
    known: Annotated[bool, typer.Option("--known", help="List the known device files.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME|FILE", help="Device file to show: its name in --known, or its path."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what this machine consists of: board, cores, engines, microphones, clocks, throttling, power."""
    if known and name is not None:
        raise ConfigError("--known lists all device files, and --device shows one; leave one of them out.")
    for sentence in left_out(known_devices() if name is None else devices_of_family(name)):
        say(sentence)
    if known:
        here = detect()
        files = usable(known_devices())
        print_known(files, here.name) if not as_json else print_json({"devices": [described(file) for file in files]})
    elif name is not None:
        device, _ = find_device(name)
        bundled = not (name.endswith(".toml") or is_own(device.name))
        print_lines(facts(device, bundled)) if not as_json else print_json(described(device))
    else:
        found = survey(_ROOT)
        print_lines(lines(found)) if not as_json else print_json(found)


def print_json(body: Any) -> None:
    with writing():
        print(json.dumps(body, ensure_ascii=False), flush=True)


def described(device: DeviceFile) -> dict[str, Any]:
    """A device file, and whether this machine is such a device."""
    return {**asdict(device), "here": describe_mismatch(device) is None}


def survey(root: Path) -> dict[str, Any]:
    """What the machine with that file system reports; engines and inputs are those of this machine.

    docs/reference/json-reports.md explains each key.
    """
    device, board = detect(root), read_board(root)
    reads = device.reads
    rails: list[dict[str, Any]] = [asdict(rail) for rail in read_rails(root, reads.power)]
    if reads.power == RAPL:
        rails = [{"name": counter.name, "power_w": None} for counter in read_counters(root)]
    return {
        "edgeres_devices": SCHEMA,
        "device": {"name": device.name, "title": device.title, "traps": device.traps},
        "board": asdict(board),
        "soc": device.soc or board.soc,
        "cores": [asdict(cores) for cores in read_cores(root)],
        "memory_bytes": read_memory_bytes(root),
        "system": {**asdict(read_system(root)), "told": str(read_system(root))},
        "python": platform.python_version(),
        "engines": {name: engine(name) for name in ENGINES},
        "audio": audio(),
        "accelerators": [asdict(found) for found in read_accelerators(root)],
        "temperatures_c": read_temperatures(root),
        "clocks": [asdict(clock) for clock in read_clocks(root)],
        "firmware_mhz": firmware_mhz(root) if reads.clock == FIRMWARE else None,
        "throttling": [{**asdict(flag), "what": flag.what, "told": str(flag)} for flag in read_flags(root)],
        "rails": rails,
    }


def engine(name: str) -> dict[str, Any]:
    """An engine's version and how it runs a small model, tried in a process that may crash."""
    versions = installed()
    version = next((versions[brings] for brings in distributions_of(name) if brings in versions), None)
    if version is None:
        return {"version": None, "runs": None, "providers": [], "why": "not installed"}
    answer = ask("kernels", name)
    told = answer.value or {}
    return {
        "version": version,
        "runs": told.get("runs"),
        "providers": told.get("providers", []),
        "why": told.get("error", answer.why),
    }


def audio() -> dict[str, Any]:
    """PortAudio's inputs, and why there are none."""
    answer = ask("inputs")
    told = answer.value or {}
    return {"inputs": told.get("inputs", []), "why": told.get("error", answer.why) or told.get("reason") or ""}


def print_lines(told: Iterable[tuple[str, str]]) -> None:
    """Two columns: names and values."""
    rows = Table(show_header=False, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name, value in told:
        rows.add_row(Text(name, style="bold"), Text(value))
    with writing():
        Console().print(rows)


def lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The survey for a person, one line a fact."""
    board, device = found["board"], found["device"]
    yield "board", board["model"] or f"{board['vendor']} {board['product']}".strip() or "unknown"
    if found["soc"]:
        yield "SoC", found["soc"]
    yield "device file", f"{device['name']}: {device['title']}"
    for cores in found["cores"]:
        features = ", ".join(cores["features"]) or "none that speeds up int8"
        yield "cores", f"{len(cores['cores'])} × {cores['name']} ({ranges(cores['cores'])}): {features}"
    if found["memory_bytes"]:
        yield "memory", f"{found['memory_bytes'] / 2**30:.1f} GiB"
    yield "system", f"{found['system']['told']}, {found['system']['machine']}"
    yield "Python", f"{found['python']}, {found['system']['bits']} bits"
    for name, one in found["engines"].items():
        providers = f"; providers: {', '.join(one['providers'])}" if one["providers"] else ""
        yield name, f"{one['runs']}{providers}" if one["runs"] else f"{one['version'] or ''} {one['why']}".strip()
    for told in found["audio"]["inputs"] or [f"none: {found['audio']['why'] or 'PortAudio finds no input'}"]:
        yield "audio input", told
    for one in found["accelerators"]:
        yield "accelerator", f"{one['name']}, {one['where']} (not used by edge-res)"
    zones = ", ".join(f"{name} {value:.1f}" for name, value in found["temperatures_c"].items())
    yield "temperatures", f"{zones} °C" if zones else "unknown"
    for clock in found["clocks"]:
        limits = f"{mhz(clock['lowest_mhz'])} to {mhz(clock['highest_mhz'])} of {mhz(clock['hardware_mhz'])} MHz"
        yield f"clock {ranges(clock['cores'])}", f"{mhz(clock['now_mhz'])} MHz, {limits}, governor {clock['governor']}"
    if found["firmware_mhz"] is not None:
        yield "clock, measured", f"{mhz(found['firmware_mhz'])} MHz, by the firmware"
    if not found["clocks"]:
        yield "clocks", "unknown"
    for flag in found["throttling"]:
        yield "throttling", flag["told"]
    if not found["throttling"]:
        yield "throttling", "none reported"
    for rail in found["rails"]:
        yield "power rail", f"{rail['name']}" + ("" if rail["power_w"] is None else f" {rail['power_w']:.3f} W")
    if not found["rails"]:
        yield "power rails", "none readable"
    for trap in device["traps"]:
        yield "trap", trap


def facts(device: DeviceFile, bundled: bool) -> Iterator[tuple[str, str]]:
    """A device file for a person, one line a fact that it states."""
    yield "device", f"{device.name}: {device.title}"
    yield "this machine", "does not match" if describe_mismatch(device) else "matches"
    yield "recognised by", ", ".join(device.recognised_by) or f"{', '.join(device.architectures) or 'any machine'}"
    if device.soc:
        yield "SoC", device.soc
    for cluster in device.clusters:
        features = ", ".join(cluster.features)
        yield (
            "cores",
            f"{cluster.count} × {cluster.core}, up to {cluster.clock_mhz:g} MHz{f': {features}' * bool(features)}",
        )
    if device.memory_gb:
        yield "memory", f"{', '.join(f'{size:g}' for size in device.memory_gb)} GB"
    if peaks := device.peaks:
        core = f"{peaks.int8_gmacs:g} int8 GMAC/s and {peaks.fp32_gflops:g} fp32 GFLOP/s per core"
        yield "peaks", f"{core}; memory {peaks.memory_gbs:g} GB/s"
    yield "engines", f"the first installed of {', '.join(device.engines)}; threads: {device.threads}"
    if device.affinity:
        yield "runs on cores", ranges(device.affinity)
    reads = device.reads
    yield "temperature", f"zones {', '.join(reads.temperature)}" if reads.temperature else "all zones"
    yield "clock, power", f"{reads.clock}, {reads.power}{f': {chr(43).join(reads.rails)}' if reads.rails else ''}"
    yield "throttling", ", ".join(reads.throttling)
    for provider in device.providers:
        yield provider.name.replace("ExecutionProvider", ""), f"{provider.use}: {provider.why}"
    for trap in device.traps:
        yield "trap", trap
    if device.soc and bundled:
        yield "sources", "documents named in its file; never tested on a real board"


def print_known(files: Sequence[DeviceFile], here: str) -> None:
    """A line a file; this machine's is marked."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    table.add_column("device", no_wrap=True)
    for title in ("what", "cores"):
        table.add_column(title, overflow="fold")
    for device in files:
        cores = " + ".join(f"{cluster.count} × {cluster.core}" for cluster in device.clusters)
        name = Text(f"{device.name} ← this" if device.name == here else device.name)
        table.add_row(name, Text(device.soc or device.title), Text(cores), style="bold" if device.name == here else "")
    with writing():
        Console().print(table)


def ranges(numbers: Sequence[int]) -> str:
    """`0-3, 6` for 0, 1, 2, 3, 6."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def mhz(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"
