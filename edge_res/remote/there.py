"""What runs on the other machine. It is sent there as text, so all it needs is a Python, of 3.7 or newer.

On stdin come a line of JSON, the task, and then the files that it names with their sizes. Stdin stays open while the
work is wanted: at its end, as when the connection is cut or the one who asked is killed, the work is ended and nothing
of it left. The answer is a line of JSON behind `MARK` on stdout, which a login shell may have written to as well; on
stderr `MARK` tells that ssh has done its part.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from _thread import start_new_thread
from contextlib import suppress
from pathlib import Path
from typing import Any

MARK = "edgeres answers: "
OLDEST = (3, 10)
_CLEARING_S = 5.0
_ON_DISK = "/var/tmp"
# Prints the packages that are missing; one engine is enough.
CHECK = """
import sys
from importlib.util import find_spec
needed = ["numpy", "typer", "rich", "soxr", "soundfile"] + ["tomli"] * (sys.version_info < (3, 11))
missing = [name for name in needed if find_spec(name) is None]
if not any(map(find_spec, ("ai_edge_litert", "onnxruntime", "tflite_runtime"))):
    missing.append("ai-edge-litert")
print(" ".join(missing))
"""


class RefusedError(Exception):
    """A sentence for the one who asked, without its full stop."""


class Work:
    """A temporary folder, and what runs and lies about because of it.

    `lock` is held by whoever starts a process or makes a file, and for good by the one who clears up.
    """

    def __init__(self, place: str | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="edgeres-", dir=place))
        self.draft: Path | None = None  # a file outside the folder
        self.lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def run(self, *command: str | Path, hear: bool = True) -> tuple[int, str, str]:
        """Run to its end: exit code, stdout and stderr; unless it is to be heard, stderr goes where ours goes."""
        here = str(self.folder)  # what a library leaves (ONNX Runtime: TMPDIR/.ses) goes with the folder
        variables = {**os.environ, "PYTHONPATH": here, "TMPDIR": here, "XDG_CACHE_HOME": here}
        with self.lock:
            self._child = child = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if hear else None, cwd=str(self.folder), env=variables, start_new_session=True,
                universal_newlines=True,
            )  # fmt: skip
        out, told = child.communicate()
        return child.returncode, out, told or ""

    def clear(self) -> None:
        """End what runs, with all that it has started, and remove what lies about; nothing more can be made then."""
        self.lock.acquire()
        if self._child is not None and self._child.poll() is None:
            with suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)
        if self.draft is not None:
            with suppress(OSError):
                self.draft.unlink()
        until_s = time.monotonic() + _CLEARING_S
        while self.folder.exists() and time.monotonic() < until_s:  # one that is killed may be making a file
            shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    sys.stderr.write(f"{MARK}\n")
    sys.stderr.flush()
    bits = 64 if sys.maxsize >= 1 << 32 else 32
    if sys.version_info < OLDEST or bits == 32:
        found = f"its {sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]} of {bits} bits"
        answer({"error": f"{found}, and 3.10 or newer of 64 bits is needed: name one with --host-python"})
        return
    task = json.loads(sys.stdin.buffer.readline().decode())
    work = Work(place(task["install"]))

    def end() -> None:
        work.clear()
        os._exit(1)

    def end_aside(*_: object) -> None:  # what a signal interrupts may hold the lock
        start_new_thread(end, ())

    def watch() -> None:
        while os.read(0, 1):  # nothing more is sent; unbuffered, as this waits still when the program ends
            pass
        end()

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_aside)
    try:
        for name, size in task["files"]:
            body = sys.stdin.buffer.read(size)
            if len(body) < size:
                return  # cut off
            with work.lock:
                (work.folder / name).write_bytes(body)
        threading.Thread(target=watch, daemon=True).start()
        answer(profile(work, task) if task["task"] == "profile" else push(work, task))
    except RefusedError as refused:
        answer({"error": str(refused)})
    except OSError as error:
        answer({"error": f"{error.filename or 'a file'}: {error.strerror}"})
    finally:
        work.clear()


def place(install: bool) -> str | None:
    """Where the folder goes: an environment to where a disk is, as /tmp is memory since Debian 13; None: as usual."""
    return _ON_DISK if install and "TMPDIR" not in os.environ and Path(_ON_DISK).is_dir() else None


def answer(body: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{MARK}{json.dumps(body)}\n")
    sys.stdout.flush()


def profile(work: Work, task: dict[str, Any]) -> dict[str, Any]:
    """Run `edgeres` with the task's arguments."""
    status, out, _ = work.run(prepared(work, task), "-m", "edge_res.cli", *task["arguments"], hear=False)
    return {"status": status, "out": out}


def push(work: Work, task: dict[str, Any]) -> dict[str, Any]:
    """Put the file in place of the one at `path`, whole or not at all, if it computes here what it must."""
    path = Path(task["path"]).expanduser().absolute()
    if path.is_dir() or task["path"].endswith("/"):
        path = path / task["name"]
    if not path.parent.is_dir():
        raise RefusedError(f"it has no folder {path.parent}; make it first")
    if path.exists() and not path.is_file():
        raise RefusedError(f"its {path} is no file, and the bundle would take its place; name another")
    with work.lock:
        descriptor, name = tempfile.mkstemp(suffix=".edgeres", prefix=".edgeres-", dir=str(path.parent))
        draft = work.draft = Path(name)
    with os.fdopen(descriptor, "wb") as file:
        file.write((work.folder / "bundle.edgeres").read_bytes())
        file.flush()
        os.fsync(file.fileno())
    if hashlib.sha256(draft.read_bytes()).hexdigest() != task["sha256"]:
        raise RefusedError("what arrived is not what was sent; try again")
    verified = None
    if task["verify"]:
        status, out, told = work.run(prepared(work, task), "-m", "edge_res.cli", "verify", draft, "--json")
        if status:
            raise RefusedError(f"{path} stays as it was: {last_line(told) or f'verify ended with {status}'}")
        verified = json.loads(out)
    mask = os.umask(0)
    os.umask(mask)
    draft.chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~mask)
    with work.lock:
        draft.replace(path)
        work.draft = None
    return {"path": str(path), "verified": verified}


def prepared(work: Work, task: dict[str, Any]) -> str:
    """The Python to run our package with, which lies in the folder then; with `install`, one of its own."""
    python = sys.executable
    with work.lock:
        shutil.unpack_archive(str(work.folder / "package.zip"), str(work.folder))
    if task["install"]:
        status, out, told = work.run(python, "-m", "venv", work.folder / "venv")
        if status:
            raise RefusedError(
                f"{python} -m venv fails: {last_line(out + told)} (Debian: sudo apt install python3-venv)"
            )
        python = str(work.folder / "venv" / "bin" / "python")
        sys.stderr.write(f"installing {', '.join(task['requirements'])} in {work.folder}, for the while\n")
        sys.stderr.flush()
        status, _, told = work.run(python, "-m", "pip", "install", "-q", "--no-cache-dir", *task["requirements"])
        if status:
            raise RefusedError(f"pip fails: {last_line(told)}")
    status, out, told = work.run(python, "-c", CHECK)
    if status or out.strip():
        missing = f"lacks {', '.join(out.split())}" if out.strip() else f"fails: {last_line(told)}"
        raise RefusedError(
            f"its {python} {missing}; install edge-res there and name its Python with --host-python, or let --install "
            "make one for the while"
        )
    return python


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].replace("edgeres: ", "").rstrip(".") if lines else ""


if __name__ == "__main__":
    main()
