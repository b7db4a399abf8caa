"""`edgeres push` over a real ssh, to this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge_res.commands.push import split
from edge_res.errors import ConfigError
from edge_res.model.bundle import GOLDEN, bundle_path, pack_golden, read_bundle, read_golden, write_bundle
from tests.edgeres import edgeres, lines, sentence
from tests.sshd import NAME, Sshd

TINY = bundle_path("tiny").read_bytes()


def test_a_bundle_is_verified_there_and_replaces_another(host: Sshd, tmp_path: Path) -> None:
    place = tmp_path / "a model.edgeres"
    place.write_bytes(b"the one before")
    place.chmod(0o640)
    (body,) = lines(edgeres("push", "tiny", f"{NAME}:{place}", *host.options, "--json"))
    assert (body["host"], body["path"]) == (NAME, str(place))
    assert body["verified"]["passed"]
    assert place.read_bytes() == TINY
    assert place.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [place]


def test_in_a_folder_it_keeps_its_name_and_a_warning_says_that_it_was_not_verified(host: Sshd, tmp_path: Path) -> None:
    run = edgeres("push", "tiny", f"{NAME}:{tmp_path}/", *host.options, "--unverified")
    assert run.returncode == 0
    assert "NOT verified there" in run.stderr.decode()
    assert (tmp_path / "tiny.edgeres").read_bytes() == TINY


def test_a_bundle_with_wrong_answers_there_replaces_nothing(host: Sshd, tmp_path: Path) -> None:
    place, wrong = tmp_path / "model.edgeres", tmp_path / "wrong.edgeres"
    place.write_bytes(b"the one before")
    bundle = read_bundle("tiny")
    stream, logits = read_golden(bundle)
    logits = logits.copy()
    logits[-1, 0] ^= 1
    write_bundle(wrong, replace(bundle, files={**bundle.files, GOLDEN: pack_golden(stream, logits)}))
    run = edgeres("push", wrong, f"{NAME}:{place}", *host.options)
    assert run.returncode == 11
    told = sentence(run)
    assert told.startswith(f"{NAME}: {place} was not replaced: The bundle 'tiny' computes wrong integers here: ")
    assert place.read_bytes() == b"the one before"
    assert sorted(tmp_path.iterdir()) == [place, wrong]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_old_bundle_survives_an_interrupt(host: Sshd, tmp_path: Path, number: signal.Signals) -> None:
    place = tmp_path / "model.edgeres"
    place.write_bytes(b"the one before")
    command = [sys.executable, "-m", "edge_res.cli", "push", "default", f"{NAME}:{place}", *host.options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        until_s = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 2:  # its draft is there
            assert time.monotonic() < until_s
        process.send_signal(number)
        _, printed = process.communicate(timeout=20)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert printed.decode().splitlines()[-1].startswith("edgeres: stopped; ")
    while len(list(tmp_path.iterdir())) > 1:
        assert time.monotonic() < until_s
    assert place.read_bytes() == b"the one before"


def test_a_missing_folder_is_one_sentence(host: Sshd, tmp_path: Path) -> None:
    told = sentence(edgeres("push", "tiny", f"{NAME}:{tmp_path}/none/x.edgeres", *host.options))
    assert told == f"{NAME}: there is no folder {tmp_path}/none; create it first."


def test_what_is_not_a_file_is_not_replaced(host: Sshd, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    told = sentence(edgeres("push", "tiny", f"{NAME}:{pipe}", *host.options, "--unverified"))
    assert told == f"{NAME}: {pipe} is not a file and would be replaced by the bundle; choose another path."
    assert pipe.is_fifo()


def test_what_is_not_a_bundle_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "x.edgeres").write_bytes(b"no zip")
    assert edgeres("push", tmp_path / "x.edgeres", "nobody@127.0.0.1:x").returncode == 6


@pytest.mark.parametrize(
    ("target", "name", "path"),
    [
        ("pi@pi.local:models/", "pi@pi.local", "models/"),
        ("pi:", "pi", "."),
        ("pi@[::1]:a:b", "pi@::1", "a:b"),
        ("pi:~/x y.edgeres", "pi", "~/x y.edgeres"),
    ],
)
def test_a_target_is_written_as_for_scp(target: str, name: str, path: str) -> None:
    assert split(target) == (name, path)


@pytest.mark.parametrize("target", ["pi.local", "", ":x", "-oProxyCommand=x:y", "a@b@c:x"])
def test_what_is_not_a_target_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match="is not a place on another machine"):
        split(target)
