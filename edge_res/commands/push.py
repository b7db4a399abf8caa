"""`edgeres push`: a bundle put in its place on another machine, once it computes the right answers there."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated

import typer

from edge_res.commands.options import Bundle, HostPython, Install, Json, Ssh
from edge_res.errors import ConfigError
from edge_res.remote.package import pack, requirements
from edge_res.remote.ssh import Host, ask
from edge_res.telling import say, stopped_with
from edge_res.writing import writing


def push(
    *,
    bundle: Bundle,
    place: Annotated[
        str, typer.Argument(metavar="USER@HOST:PATH", help="Destination on the host: a file or a folder.")
    ],
    install: Install = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Skip `edgeres verify` on the host; checksums are still compared.")
    ] = False,
    ssh: Ssh = "ssh",
    host_python: HostPython = "python3",
    as_json: Json = False,
) -> None:
    """Copy a bundle to another machine over ssh, verify it there, and only then replace the old one."""
    from edge_res.model.bundle import bundle_path, read_bundle

    name, path = split(place)
    read_bundle(bundle)
    body = bundle_path(bundle).read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    task = {
        "task": "push", "path": path, "name": bundle_path(bundle).name, "sha256": sha256, "verify": not unverified,
        "install": install, "requirements": requirements(),
    }  # fmt: skip
    files = {"bundle.edgeres": body, **({} if unverified else {"package.zip": pack()})}
    with stopped_with(
        f"stopped; unless {name} had already replaced it, the file at {path} is unchanged, and nothing else is left"
    ):
        answer = ask(Host(name=name, ssh=ssh, python=host_python), task, files)
    if as_json:
        report = {"host": name, "path": answer["path"], "sha256": sha256, "verified": answer["verified"]}
        with writing():
            print(json.dumps(report), flush=True)
        return
    checks = answer["verified"]["checks"] if answer["verified"] else []
    how = f"verified there: {len(checks)} checks" if checks else "NOT verified there"
    say(f"{name}:{answer['path']} is now {bundle} ({len(body)} bytes, SHA-256 {sha256[:12]}…), {how}")


def split(place: str) -> tuple[str, str]:
    """Host and path of HOST:PATH, written as for scp: an IPv6 address in brackets; no path is the home folder."""
    found = re.fullmatch(r"((?:[^:@\[\]]+@)?)(?:\[([^\]]+)\]|([^:@\[\]]+)):(.*)", place)
    if not found or place.startswith("-") or (found[2] or found[3]).startswith("-"):
        raise ConfigError(
            f"{place!r} is not a place on another machine, expected USER@HOST:PATH, such as pi@pi.local:models/."
        )
    return found[1] + (found[2] or found[3]), found[4] or "."
