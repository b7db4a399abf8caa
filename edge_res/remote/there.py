"""The program that runs on the other machine. It is sent there as source code, so it requires only Python 3.7 or newer.

Stdin carries the task, a line of JSON, and then the files that it lists with their sizes. Stdin stays open as long as
the work is wanted: when it ends, because the connection is cut or the asking process is killed, the work is stopped and
nothing of it left. The answer is a line of JSON after `MARK` on stdout, where a login shell may have written too; on
stderr, `MARK` means that ssh has connected.
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
# Prints the missing packages; one engine is enough.
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
    """A sentence for the asking side, without its full stop."""


class Work:
    """A temporary folder, a draft outside it, and the process that runs there.

    `lock` is held while a process is started or a file created; `clear` takes it and never releases it.
    """

    def __init__(self, place: str | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="edgeres-", dir=place))
        self.draft: Path | None = None  # a file outside the folder
        self.lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def run(self, *command: str | Path, capture: bool = True) -> tuple[int, str, str]:
        """Run a command; returns exit code, stdout and stderr. Without `capture`, stderr goes where ours goes."""
        here = str(self.folder)  # what a library leaves behind (ONNX Runtime: TMPDIR/.ses) is removed too
        variables = {**os.environ, "PYTHONPATH": here, "TMPDIR": here, "XDG_CACHE_HOME": here}
        variables["EDGERES_CONFIG"] = os.devnull  # defaults of this machine's user were not asked for
        with self.lock:
            self._child = child = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if capture else None, cwd=here, env=variables, start_new_session=True,
                universal_newlines=True,
            )  # fmt: skip
        out, err = child.communicate()
        return child.returncode, out, err or ""

    def clear(self) -> None:
        """Kill what runs, with all that it started, and remove all files; nothing new can be created after that."""
        self.lock.acquire()
        if self._child is not None and self._child.poll() is None:
            with suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)
        if self.draft is not None:
            with suppress(OSError):
                self.draft.unlink()
        until_s = time.monotonic() + _CLEARING_S
        # A process that is being killed may still create a file.
        while self.folder.exists() and time.monotonic() < until_s:
            shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    sys.stderr.write(f"{MARK}\n")
    sys.stderr.flush()
    bits = 64 if sys.maxsize >= 1 << 32 else 32
    if sys.version_info < OLDEST or bits == 32:
        found = f"its {sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]} ({bits} bits)"
        answer({"error": f"{found}; a 64-bit Python 3.10 or newer is required: give its path with --host-python"})
        return
    task = json.loads(sys.stdin.buffer.readline().decode())
    work = Work(place(task["install"]))

    def end() -> None:
        work.clear()
        os._exit(1)

    def end_aside(*_: object) -> None:  # in another thread, since the one that a signal interrupts may hold the lock
        start_new_thread(end, ())

    def watch() -> None:
        while os.read(0, 1):  # no more data is sent; unbuffered, since this still waits when the program ends
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
    """Where to create the folder: an environment on a disk, since Debian 13 keeps /tmp in memory; None: the default."""
    return _ON_DISK if install and "TMPDIR" not in os.environ and Path(_ON_DISK).is_dir() else None


def answer(body: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{MARK}{json.dumps(body)}\n")
    sys.stdout.flush()


def profile(work: Work, task: dict[str, Any]) -> dict[str, Any]:
    """Run `edgeres` with the task's arguments."""
    status, out, _ = work.run(prepared(work, task), "-m", "edge_res.cli", *task["arguments"], capture=False)
    return {"status": status, "out": out}


def push(work: Work, task: dict[str, Any]) -> dict[str, Any]:
    """Replace the file at `path`, entirely or not at all, if the new one computes the right answers here."""
    path = Path(task["path"]).expanduser().absolute()
    if path.is_dir() or task["path"].endswith("/"):
        path = path / task["name"]
    if not path.parent.is_dir():
        raise RefusedError(f"there is no folder {path.parent}; create it first")
    if path.exists() and not path.is_file():
        raise RefusedError(f"{path} is not a file and would be replaced by the bundle; choose another path")
    with work.lock:
        descriptor, name = tempfile.mkstemp(suffix=".edgeres", prefix=".edgeres-", dir=str(path.parent))
        draft = work.draft = Path(name)
    with os.fdopen(descriptor, "wb") as file:
        file.write((work.folder / "bundle.edgeres").read_bytes())
        file.flush()
        os.fsync(file.fileno())
    if hashlib.sha256(draft.read_bytes()).hexdigest() != task["sha256"]:
        raise RefusedError("the file arrived damaged; try again")
    verified = None
    if task["verify"]:
        status, out, err = work.run(prepared(work, task), "-m", "edge_res.cli", "verify", draft, "--json")
        if status:
            raise RefusedError(f"{path} was not replaced: {last_line(err) or f'verify exited with code {status}'}")
        verified = json.loads(out)
    mask = os.umask(0)
    os.umask(mask)
    draft.chmod(path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~mask)
    with work.lock:
        draft.replace(path)
        work.draft = None
    return {"path": str(path), "verified": verified}


def prepared(work: Work, task: dict[str, Any]) -> str:
    """Unpack the package; returns the Python to run it with: with `install`, that of a temporary environment."""
    python = sys.executable
    with work.lock:
        shutil.unpack_archive(str(work.folder / "package.zip"), str(work.folder))
    if task["install"]:
        status, out, err = work.run(python, "-m", "venv", work.folder / "venv")
        if status:
            raise RefusedError(
                f"{python} -m venv failed: {last_line(out + err)} (Debian: sudo apt install python3-venv)"
            )
        python = str(work.folder / "venv" / "bin" / "python")
        sys.stderr.write(f"installing {', '.join(task['requirements'])} temporarily in {work.folder}\n")
        sys.stderr.flush()
        status, _, err = work.run(python, "-m", "pip", "install", "-q", "--no-cache-dir", *task["requirements"])
        if status:
            raise RefusedError(f"pip failed: {last_line(err)}")
    status, out, err = work.run(python, "-c", CHECK)
    if status or out.strip():
        missing = f"lacks {', '.join(out.split())}" if out.strip() else f"fails: {last_line(err)}"
        raise RefusedError(
            f"its {python} {missing}; install edge-res there and give the path of its Python with --host-python, or "
            "use --install for a temporary environment"
        )
    return python


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].replace("edgeres: ", "").rstrip(".") if lines else ""


if __name__ == "__main__":
    main()
