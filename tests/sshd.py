"""A machine to reach by ssh: OpenSSH's own server on a port of loopback, with keys of its own."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

import pytest

NAME = f"{getuser()}@127.0.0.1"


class Sshd:
    """`ssh` is the command that reaches it, with options; `temporary` is its folder for temporary files."""

    def __init__(self, folder: Path, temporary: Path, port: int) -> None:
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "BatchMode=yes"]
        told = [text for option in options for text in ("-o", option)]
        self.ssh = shlex.join(["ssh", "-F", "/dev/null", "-p", str(port), "-i", str(folder / "key"), *told])
        self.key = str(folder / "key")
        self.temporary = temporary
        self.options = ("--ssh", self.ssh, "--host-python", sys.executable)

    def left(self) -> list[Path]:
        """What lies in its folder for temporary files."""
        return sorted(self.temporary.iterdir())


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    server = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if server is None or shutil.which("ssh") is None:
        pytest.skip("needs an ssh server: apt-get install openssh-server openssh-client")
    temporary = folder / "temporary"
    temporary.mkdir()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/key.pub",
        "StrictModes no", "UsePAM no", "PidFile none", f"SetEnv TMPDIR={temporary}",
    ]  # fmt: skip
    (folder / "config").write_text("\n".join(settings) + "\n")
    Path("/run/sshd").mkdir(exist_ok=True)  # it insists on it, as root
    with subprocess.Popen([server, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr
            until_s = time.monotonic() + 10
            for line in process.stderr:
                if b"listening" in line:
                    break
                assert time.monotonic() < until_s, line
            yield Sshd(folder, temporary, port)
        finally:
            process.terminate()
