"""`edgeres profile --host`: the same profile, measured on another machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from edge_res.commands.profile import ProfileOptions
from edge_res.commands.profile_here import check_page, show
from edge_res.devices.files import is_own, known_devices, load_device
from edge_res.errors import RemoteError
from edge_res.model.bundle import bundle_path
from edge_res.model.ensemble import bundle_names, read_ensemble
from edge_res.profiling.report import is_report
from edge_res.remote.package import pack, requirements
from edge_res.remote.ssh import Host, ask
from edge_res.telling import stopped_with


def measure_there(options: ProfileOptions, host: Host, *, install: bool) -> None:
    """Measure there, print here; over there nothing is left but what `--save` writes."""
    check_page(options.html)
    read_ensemble(options.model)  # a bundle that is none is told before it is sent
    files = {"package.zip": pack()}
    for number, path in enumerate(bundle_path(name) for name in bundle_names(options.model)):
        files[f"{number}.edgeres"] = path.read_bytes()
    model = "+".join(name for name in files if name.endswith(".edgeres"))
    arguments = ["profile", model, "--json", "--seconds", str(options.seconds), "--tries", str(options.tries)]
    for option, values in (("--engine", options.engines), ("--mode", options.modes), ("--threads", options.threads)):
        arguments += [text for value in values for text in (option, str(value))]
    if options.device is not None:
        own = own_file(options.device)
        files |= {own.name: own.read_bytes()} if own else {}
        arguments += ["--device", own.name if own else options.device]
    arguments += ["--save"] if options.save else []
    task = {"task": "profile", "arguments": arguments, "install": install, "requirements": requirements()}
    running = Console(stderr=True).status(f"profiling on {host.name} …")
    ended = f"ended; {host.name} clears up, and nothing is left there"
    with stopped_with(ended):
        try:
            answer = ask(host, task, files, begun=running.start)
        finally:
            running.stop()
    try:
        report = json.loads(answer["out"])
    except ValueError:
        report = None
    if not is_report(report):
        raise RemoteError(f"{host.name} has not profiled: `edgeres profile` ended there with {answer['status']}.")
    show(report, as_json=options.as_json, html=options.html)
    sys.exit(answer["status"])


def own_file(device: str) -> Path | None:
    """The file of a device that the other machine need not have; None of those that come along."""
    if not is_own(device) and not device.endswith(".toml"):
        return None
    load_device(device)  # a mistake in it is told before it is sent
    return known_devices().get(device, Path(device))
