"""`edgeres profile --host`: the same profile, measured on another machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from edge_res.commands.profile_here import ProfileOptions, check_page, show
from edge_res.devices.files import is_own, known_devices, load_device
from edge_res.errors import RemoteError
from edge_res.model.bundle import bundle_path
from edge_res.model.ensemble import bundle_names, read_ensemble
from edge_res.profiling.report import is_report
from edge_res.remote.package import pack, requirements
from edge_res.remote.ssh import Host, ask
from edge_res.telling import stopped_with


def measure_there(options: ProfileOptions, host: Host, *, install: bool) -> None:
    """Measure on the host and print here; only what `--save` writes stays there."""
    check_page(options.html)
    read_ensemble(options.model)  # reports a damaged bundle before it is sent
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
    ended = f"stopped; {host.name} cleans up, and nothing is left there"
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
        raise RemoteError(
            f"{host.name} returned no profile: `edgeres profile` ended there with exit code {answer['status']}."
        )
    show(report, as_json=options.as_json, html=options.html)
    sys.exit(answer["status"])


def own_file(device: str) -> Path | None:
    """The user's own file of a device, which the host may lack; None for a bundled one."""
    if not is_own(device) and not device.endswith(".toml"):
        return None
    load_device(device)  # reports a mistake in it before it is sent
    return known_devices().get(device, Path(device))
