"""`edgeres profile --host` over a real ssh, to this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.edgeres import CLIPS, edgeres, lines, sentence
from tests.sshd import NAME, Sshd

SHORT = ("tiny", "--engine", "litert", "--mode", "step", "--threads", "1", "--seconds", "0.1", "--tries", "1")
ASKED = ("profile", *SHORT, "--host", NAME)


def test_the_report_comes_back_and_nothing_is_left(host: Sshd, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run = edgeres(*ASKED, *host.options, "--json", "--html", page)
    (report,) = lines(run)
    assert report["edgeres_profile"] == 1
    assert [(row["engine"], row["mode"], row["threads"]) for row in report["rows"]] == [("litert", "step", 1)]
    assert report["rows"][0]["p50_us"] > 0
    assert "<svg" in page.read_text()
    (tmp_path / "a.json").write_bytes(run.stdout)
    assert lines(edgeres("profile", "--compare", tmp_path / "a.json", tmp_path / "a.json", "--json"))[0]["pairs"]


def test_a_mistake_with_an_ensemble_is_reported_from_there(host: Sshd) -> None:
    run = edgeres(*ASKED[:1], "tiny+tiny", *SHORT[1:], "--device", "no-such-device", "--host", NAME, *host.options)
    assert run.returncode == 11
    printed = run.stderr.decode()
    assert f"{NAME}: There is no device 'no-such-device'" in printed  # its own message
    assert f"{NAME} returned no profile: `edgeres profile` ended there with exit code 2." in printed


def test_a_users_own_device_file_is_sent_along(host: Sshd, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "a machine of mine"\nrecognised_by = ["no such board"]\n')
    run = edgeres(*ASKED, *host.options, "--device", os.path.relpath(tmp_path / "mine.toml", CLIPS), "--json")
    assert lines(run)[0]["rows"][0]["verdict"] != "failed"
    assert f"{NAME}: This machine is not recognised as a machine of mine" in run.stderr.decode()


def test_what_is_missing_there_is_named(host: Sshd, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    run = edgeres(*ASKED, "--ssh", host.ssh, "--host-python", python)
    assert run.returncode == 11
    assert sentence(run) == (
        f"{NAME}: its {python} lacks numpy, typer, rich, soxr, soundfile, ai-edge-litert; install edge-res there and "
        "give the path of its Python with --host-python, or use --install for a temporary environment."
    )


def test_a_temporary_environment_is_created_and_removed(host: Sshd, tmp_path: Path) -> None:
    """With packages from the real index, for a Python that has none."""
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    run = edgeres(*ASKED, "--ssh", host.ssh, "--host-python", python, "--install")
    assert run.returncode == 0, run.stderr.decode()
    assert f"{NAME}: installing numpy" in run.stderr.decode()
    assert "litert step 1" in run.stdout.decode()  # tables for people


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (
            ("--ssh", "ssh -F /dev/null -p 1"),
            "127.0.0.1 cannot be reached by ssh: ssh: connect to host 127.0.0.1 port 1",
        ),
        (("--ssh", "no-such-ssh"), "'no-such-ssh' cannot be run"),
        (("--ssh", ""), "'' cannot be run (it is empty)"),
        (("--host-python", "python9"), f"{NAME} has no python9: "),
        (("--host-python", "a b"), "--host-python 'a b' is not a path"),
    ],
)
def test_mistakes_are_one_sentence(host: Sshd, options: tuple[str, ...], part: str) -> None:
    run = edgeres(*ASKED, "--ssh", host.ssh, *options)
    assert run.returncode == (2 if "a b" in options else 11)
    assert part in sentence(run)


def test_nothing_is_drawn_while_ssh_may_ask_for_a_password(host: Sshd) -> None:
    """A spinner would hide the question, and the user would wait forever."""
    shown = []
    for ssh in ("sh -c 'sleep 0.5; exit 255'", host.ssh):
        ours, theirs = os.openpty()
        arguments = (*ASKED, "--ssh", ssh, "--host-python", sys.executable)
        with subprocess.Popen(
            [sys.executable, "-m", "edge_res.cli", *arguments],
            stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm"},
        ):  # fmt: skip
            os.close(theirs)
            shown.append(all_of(ours))
    assert b"profiling on" not in shown[0]
    assert b"cannot be reached" in shown[0]
    assert b"profiling on" in shown[1]


def all_of(terminal: int) -> bytes:
    """What is written to a terminal until the last process closes it."""
    found = b""
    with suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as file:
        while read := file.read(4096):
            found += read
    return found


def test_an_unknown_key_is_one_sentence(host: Sshd, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    run = edgeres(*ASKED, "--ssh", host.ssh.replace(host.key, str(tmp_path / "other")))
    assert run.returncode == 11
    assert "cannot be reached by ssh: " in sentence(run)
    assert "Permission denied" in sentence(run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_after_an_interrupt(host: Sshd, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "edge_res.cli", *ASKED, "--seconds", "60", *host.options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        wait_until(lambda: len(processes(host.temporary)) > 1)  # `edgeres profile`, and the loop that it measures
        process.send_signal(number)
        _, printed = process.communicate(timeout=20)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 130
        assert printed.decode().splitlines()[-1] == f"edgeres: stopped; {NAME} cleans up, and nothing is left there"
    wait_until(lambda: not processes(host.temporary))
    wait_until(lambda: not host.left())


def wait_until(done: Callable[[], bool], limit_s: float = 20.0) -> None:
    until_s = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def processes(folder: Path) -> list[str]:
    """The processes that work in a folder, including the measured loop."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # has ended
            if str(process.joinpath("cwd").readlink()).startswith(str(folder)):
                found.append(process.name)
    return found
