"""`edgeres push`: a bundle put in its place on another machine, once it computes there what it must."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from edge_res.errors import ConfigError
from edge_res.model.bundle import bundle_path, read_bundle
from edge_res.remote.package import pack, requirements
from edge_res.remote.ssh import Host, ask
from edge_res.telling import say, stopped_with
from edge_res.writing import writing


def run(model: str, target: str, host_options: Host, install: bool, unverified: bool, as_json: bool) -> None:
    """Send, compare hashes, verify and replace; whatever fails, the file that is there stays as it is."""
    name, path = split(target)
    read_bundle(model)
    body = bundle_path(model).read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    task = {
        "task": "push", "path": path, "name": Path(bundle_path(model)).name, "sha256": sha256, "verify": not unverified,
        "install": install, "requirements": requirements(),
    }  # fmt: skip
    files = {"bundle.edgeres": body, **({} if unverified else {"package.zip": pack()})}
    ended = f"ended; unless {name} had replaced it already, what was at {path} is still there, and nothing else is left"
    with stopped_with(ended):
        answer = ask(Host(name, host_options.ssh, host_options.python), task, files)
    checks = answer["verified"]["checks"] if answer["verified"] else []
    if as_json:
        told = {"host": name, "path": answer["path"], "sha256": sha256, "verified": answer["verified"]}
        with writing():
            print(json.dumps(told), flush=True)
        return
    how = f"verified there: {len(checks)} checks" if checks else "NOT verified there"
    say(f"{name}:{answer['path']} is {model} now ({len(body)} bytes, SHA-256 {sha256[:12]}…), {how}")


def split(target: str) -> tuple[str, str]:
    """HOST:PATH as scp has it, an IPv6 address in brackets; no path is the home folder."""
    found = re.fullmatch(r"((?:[^:@\[\]]+@)?)(?:\[([^\]]+)\]|([^:@\[\]]+)):(.*)", target)
    if not found or target.startswith("-") or (found[2] or found[3]).startswith("-"):
        raise ConfigError(
            f"{target!r} names no place on another machine; give user@host:PATH, such as pi@pi.local:models/."
        )
    return found[1] + (found[2] or found[3]), found[4] or "."
