"""`edgeres listen`: what it does around the loop."""

from __future__ import annotations

import gc
import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from tests.edgeres import DEMO, edgeres, edgeres_here, lines, sentence


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_what_was_opened_is_closed_where_another_source_cannot_be(tmp_path: Path) -> None:
    sensor = f"udp://127.0.0.1:{free_port()}?rate=16000&channels=1"
    for others in (["none.wav"], [DEMO, "--record", str(DEMO)], [DEMO, "--channel", "3"]):
        assert edgeres_here("listen", sensor, *others).returncode != 0
        gc.collect()  # an open socket warns then


def test_a_name_need_not_be_utf_8(tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"a\xff.npy")
    np.save(name, np.random.default_rng(0).standard_normal(40000) / 10)
    health = tmp_path / "health.json"
    options = ["--rate", "16000", "--health-file", str(health)]
    scores = lines(edgeres("listen", name, *options, "--format", "jsonl", "--scores"))
    assert {line["source"] for line in scores} == {str(name)}
    assert json.loads(health.read_text())["sources"][0]["source"] == str(name)
    assert edgeres("listen", tmp_path, *options, "--scores").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mqtt://u:pw@h/x", "mqtt://u:pw@h/x"], "The source mqtt://…@h/x is named twice; name each once."),
        (["mqqt://u:pw@h/x"], "There is no kind of source for 'mqqt://…@h/x'; use one of "),
        (["mqtt://u:pw@h/x", "--loop"], "--loop plays recordings again and again, and mqtt://…@h/x is not one; leave"),
        (["udp://:5005?rate=9", "--realtime"], "--realtime plays recordings at their pace, and udp://:5005?rate=9 is"),
    ],
)
def test_mistakes_with_what_is_asked_of_a_source(arguments: list[str], said: str) -> None:
    result = edgeres("listen", *arguments)
    assert sentence(result).startswith(said)
    assert result.returncode == 2


def test_a_source_from_which_nothing_came_is_in_the_summary() -> None:
    sensor = f"udp://127.0.0.1:{free_port()}"
    result = edgeres("listen", f"{sensor}?rate=16000&alarm=0.1", "--give-up", "0.3")
    assert result.returncode == 3
    assert b"edgeres: 0.0 s of audio, 0 hops, 0 events, 0 samples lost, interrupted 1 time, failed at" in result.stderr


def test_a_service_does_not_load_what_tables_need() -> None:
    gone = "import sys; sys.modules['rich'] = sys.modules['edge_res.sinks.table'] = None"
    heard = edgeres("listen", "yes-0.flac", "--format", "jsonl", before=gone)
    assert heard.returncode == 0, heard.stderr.decode()


@pytest.mark.parametrize("arguments", [("listen", "demo:", "--give-up"), ("profile", "--seconds")])
def test_nan_is_not_a_number(arguments: tuple[str, ...]) -> None:
    result = edgeres(*arguments, "nan")
    assert result.returncode == 2
    assert b"nan is not a number" in result.stderr
