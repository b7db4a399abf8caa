"""One connection of the system's ssh, over which a task, its files, what is told and the answer go."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edge_res.errors import ConfigError, RemoteError
from edge_res.remote import there
from edge_res.telling import plain

_FAILED = 255  # ssh's own exit code; all others are the command's (ssh(1))
_NOT_FOUND = 127  # the shell's, for a command that is not there


@dataclass(frozen=True)
class Host:
    """Another machine: `name` as ssh takes it, the command `ssh` with options, and the Python to use over there."""

    name: str
    ssh: str = "ssh"
    python: str = "python3"


def ask(
    host: Host, task: Mapping[str, Any], files: Mapping[str, bytes], begun: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Have a task of `there` done, with these files; what it tells meanwhile goes to stderr.

    `begun` is called once the other side runs: before that, ssh may ask for a password on the terminal.
    Gives its answer; a `RemoteError` where the host cannot be reached, cannot do it, or refuses.
    """
    if not host.name or host.name.startswith("-"):
        raise ConfigError(f"{host.name!r} is no host; give --host USER@HOST, and options of ssh with --ssh.")
    if not re.fullmatch(r"[\w./~+-]+", host.python):
        raise ConfigError(
            f"--host-python {host.python!r} is no path that a shell takes as it is; name one without blanks."
        )
    source = Path(there.__file__).read_bytes()
    loader = f"import sys; exec(sys.stdin.buffer.read({len(source)}), {{'__name__': '__main__'}})"
    try:
        words = shlex.split(host.ssh)
        if not words:  # the host would be taken for the program
            raise ValueError("it is empty")
        command = [*words, host.name, f'exec {host.python} -c "{loader}"']
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except (OSError, ValueError) as error:
        raise RemoteError(f"{host.ssh!r} cannot be run ({error}); install openssh-client, or give --ssh.") from None
    assert process.stdin
    assert process.stdout
    assert process.stderr
    told: list[str] = []
    listener = threading.Thread(target=_pass_on, args=(process.stderr, host.name, told, begun), daemon=True)
    listener.start()
    head = {**task, "files": [(name, len(body)) for name, body in files.items()]}
    try:
        with suppress(BrokenPipeError):  # it has ended, and says why
            for piece in (source, json.dumps(head).encode() + b"\n", *files.values()):
                process.stdin.write(piece)
            process.stdin.flush()
        out = process.stdout.read().decode("utf-8", "replace")
    finally:  # on Ctrl-C as well: at the end of its input the other side clears up
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
        listener.join()
        process.stdout.close()
        process.stderr.close()
    return _answer(host, out, process.returncode, told[-1] if told else "")


def _answer(host: Host, out: str, status: int, last: str) -> dict[str, Any]:
    lines = [line for line in out.splitlines() if line.startswith(there.MARK)]
    if lines:
        body: dict[str, Any] = json.loads(lines[-1].removeprefix(there.MARK))
        if "error" in body:
            raise RemoteError(f"{host.name}: {body['error']}.")
        return body
    if status == _FAILED:
        raise RemoteError(f"{host.name} cannot be reached by ssh: {last.rstrip('.') or 'it does not say why'}.")
    if status == _NOT_FOUND:
        raise RemoteError(f"{host.name} has no {host.python}: {last.rstrip('.')}; name its Python with --host-python.")
    raise RemoteError(
        f"{host.name} gave no answer, and ended with {status}: {last.rstrip('.') or 'it does not say why'}."
    )


def _pass_on(stream: IO[bytes], name: str, told: list[str], begun: Callable[[], None]) -> None:
    """Show what comes, line by line, with whom it comes from; the last line is kept, that of ssh only for an error."""
    is_theirs = False
    for line in stream:
        text = line.decode("utf-8", "replace").rstrip()
        if text == there.MARK.rstrip():
            is_theirs = True
            begun()
            continue
        told[:] = [text]
        if is_theirs and sys.stderr is not None:
            sys.stderr.write(f"{name}: {plain(text.removeprefix('edgeres: '))}\n")
