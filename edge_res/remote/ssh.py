"""One connection of the system's ssh, which carries a task, its files, log lines and the answer."""

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
_NOT_FOUND = 127  # the shell's exit code for an unknown command


@dataclass(frozen=True)
class Host:
    """Another machine: its `name` for ssh, the `ssh` command with options, and the `python` to use there."""

    name: str
    ssh: str = "ssh"
    python: str = "python3"


def ask(
    host: Host, task: Mapping[str, Any], files: Mapping[str, bytes], begun: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Have the host do a task of `there` with these files, and return the answer; its log lines go to stderr.

    `begun` is called once the other side runs; before that, ssh may ask for a password on the terminal. Raises
    `RemoteError` if the host cannot be reached, fails or refuses.
    """
    if not host.name or host.name.startswith("-"):
        raise ConfigError(f"{host.name!r} is not a host; use --host USER@HOST, and --ssh for options of ssh.")
    if not re.fullmatch(r"[\w./~+-]+", host.python):
        raise ConfigError(
            f"--host-python {host.python!r} is not a path that a shell takes unquoted; choose one without spaces."
        )
    source = Path(there.__file__).read_bytes()
    loader = f"import sys; exec(sys.stdin.buffer.read({len(source)}), {{'__name__': '__main__'}})"
    try:
        words = shlex.split(host.ssh)
        if not words:  # else the host's name would be run as the program
            raise ValueError("it is empty")
        command = [*words, host.name, f'exec {host.python} -c "{loader}"']
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except (OSError, ValueError) as error:
        raise RemoteError(f"{host.ssh!r} cannot be run ({error}); install openssh-client, or use --ssh.") from None
    assert process.stdin
    assert process.stdout
    assert process.stderr
    heard: list[str] = []
    listener = threading.Thread(target=_pass_on, args=(process.stderr, host.name, heard, begun), daemon=True)
    listener.start()
    head = {**task, "files": [(name, len(body)) for name, body in files.items()]}
    try:
        with suppress(BrokenPipeError):  # it has ended; its answer or stderr says why
            for piece in (source, json.dumps(head).encode() + b"\n", *files.values()):
                process.stdin.write(piece)
            process.stdin.flush()
        out = process.stdout.read().decode("utf-8", "replace")
    finally:  # also on Ctrl-C: at the end of its input the other side cleans up
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
        listener.join()
        process.stdout.close()
        process.stderr.close()
    return _answer(host, out, process.returncode, heard[-1] if heard else "")


def _answer(host: Host, out: str, status: int, last: str) -> dict[str, Any]:
    lines = [line for line in out.splitlines() if line.startswith(there.MARK)]
    if lines:
        body: dict[str, Any] = json.loads(lines[-1].removeprefix(there.MARK))
        if "error" in body:
            raise RemoteError(f"{host.name}: {body['error']}.")
        return body
    if status == _FAILED:
        raise RemoteError(f"{host.name} cannot be reached by ssh: {last.rstrip('.') or 'no reason given'}.")
    if status == _NOT_FOUND:
        raise RemoteError(f"{host.name} has no {host.python}: {last.rstrip('.')}; use --host-python.")
    raise RemoteError(
        f"{host.name} gave no answer and exited with code {status}: {last.rstrip('.') or 'no reason given'}."
    )


def _pass_on(stream: IO[bytes], name: str, heard: list[str], begun: Callable[[], None]) -> None:
    """Print the lines of the other side, with its name before each, and keep the last in `heard`.

    Lines before `MARK` are those of ssh; they are only kept, for an error message.
    """
    has_begun = False
    for line in stream:
        text = line.decode("utf-8", "replace").rstrip()
        if text == there.MARK.rstrip():
            has_begun = True
            begun()
            continue
        heard[:] = [text]
        if has_begun and sys.stderr is not None:
            sys.stderr.write(f"{name}: {plain(text.removeprefix('edgeres: '))}\n")
