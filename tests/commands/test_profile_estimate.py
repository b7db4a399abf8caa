"""`edgeres profile --estimate` says what it is, wherever it prints."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge_res.devices import detect
from edge_res.devices.machine import machine_name
from edge_res.model.bundle import read_bundle, write_bundle
from edge_res.profiling.estimate import all_peaks, estimate, read_peaks, work_of
from tests.edgeres import edgeres, lines, sentence

KEYS = ("clock_mhz", "int8_gmacs", "fp32_gflops", "memory_gbs")
TABLE = "[peaks]\nclock_mhz = 1500\nint8_gmacs = 12\nfp32_gflops = 12.0\nmemory_gbs = 4\n"


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "board.toml"
    path.write_text(TABLE)
    return path


def test_the_table_and_what_is_said_are_labelled(board: Path) -> None:
    told = edgeres("profile", "tiny", "--estimate", board).stdout.decode()
    assert told.startswith("ESTIMATE, not measured")
    assert told.count("ESTIMATE") == 2  # the title, and the head of the column of devices
    assert "the error of this estimate is unknown" in " ".join(told.split())


def test_json_is_labelled_and_is_the_estimate(board: Path) -> None:
    (body,) = lines(edgeres("profile", "tiny", "--estimate", board, "--json"))
    assert body["ESTIMATE"] == "ESTIMATE, not measured"
    peaks = read_peaks(board)
    assert peaks
    work = work_of([read_bundle("tiny")])
    expected = [{"ESTIMATE": True, **asdict(estimate(work[mode], peaks, mode))} for mode in ("step", "window")]
    assert body["rows"] == expected
    assert body["measured"] == []


def test_it_is_calibrated_with_what_was_saved(board: Path, tmp_path: Path) -> None:
    work = {mode: asdict(one) for mode, one in work_of([read_bundle("tiny")]).items()}
    row = {"engine": "litert", "mode": "step", "threads": 1, "verdict": "stable", "p50_us": 777.0}
    saved = {"edgeres_profile": 1, "device": {"file": "board"}, "bundle": {"work": work}, "rows": [row]}
    folder = tmp_path / "config" / "edgeres" / "profiles"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps(saved))
    (folder / "b.json").write_text("[]")
    (body,) = lines(edgeres("profile", "tiny", "--estimate", board, "--json"))
    assert body["rows"][0]["likely_us"] == pytest.approx(777, abs=1)
    assert body["rows"][0]["calibrated"] == "1 measured on board"
    (one,) = body["measured"]
    assert one["measured_us"] == 777
    told = " ".join(edgeres("profile", "tiny", "--estimate", board).stdout.decode().split())
    assert "ESTIMATE against measured, board step: likely" in told
    assert "measured 777" in told


@pytest.mark.parametrize(("machine", "error_is_told"), [(machine_name(), True), ("another of that kind", False)])
def test_of_this_machine_the_error_is_told(tmp_path: Path, board: Path, machine: str, error_is_told: bool) -> None:
    here = detect().name
    if all_peaks().get(here):
        pytest.skip("the file of this machine has [peaks]")
    work = {mode: asdict(one) for mode, one in work_of([read_bundle("tiny")]).items()}
    row = {"engine": "litert", "mode": "step", "threads": 1, "verdict": "stable", "p50_us": 777.0}
    device = {"file": here, "name": machine}
    saved = {"edgeres_profile": 1, "device": device, "bundle": {"work": work}, "rows": [row]}
    folder = tmp_path / "config" / "edgeres" / "profiles"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps(saved))
    told = " ".join(edgeres("profile", "tiny", "--estimate", here).stdout.decode().split())
    assert f"{here} is this machine, whose device file has no [peaks]" in told
    assert (f"ESTIMATE against measured, {here} step" in told) == error_is_told
    (body,) = lines(edgeres("profile", "tiny", "--estimate", board, "--json"))
    assert body["derived"]["device"] == here
    assert len(body["measured"]) == error_is_told


def test_a_bundle_without_models_of_litert_is_told(tmp_path: Path) -> None:
    bundle = read_bundle("tiny")
    members = {name: content for name, content in bundle.files.items() if not name.endswith(".tflite")}
    write_bundle(tmp_path / "onnx.edgeres", replace(bundle, files=members))
    refused = edgeres("profile", tmp_path / "onnx.edgeres", "--estimate", "raspberry-pi-5")
    assert refused.returncode == 6
    assert "has no window.tflite" in sentence(refused)


def test_an_unknown_device_is_told() -> None:
    refused = edgeres("profile", "--estimate", "toaster")
    assert refused.returncode == 2
    assert "'toaster' is not a device" in sentence(refused)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, "0", "true", "'much'"])
def test_a_table_that_lacks_something_is_told(board: Path, key: str, value: str | None) -> None:
    rest = [line for line in TABLE.splitlines() if not line.startswith(key)]
    board.write_text("\n".join([*rest, *([f"{key} = {value}"] if value else [])]))
    with pytest.raises(ValueError, match=rf"line \d: the key '{key}' of \[peaks\] is .* a number above 0"):
        read_peaks(board)


def test_all_is_all_that_come_along_and_this_machine() -> None:
    (body,) = lines(edgeres("profile", "tiny", "--estimate", "all", "--json"))
    derived = {body["derived"]["device"]} if body["derived"] else set()
    assert {row["device"] for row in body["rows"]} == set(all_peaks()) | derived


def test_the_files_that_come_along_can_be_read() -> None:
    assert all(peaks.clock_hz > 0 for peaks in all_peaks().values())


def test_all_tells_which_devices_have_no_peaks() -> None:
    told = " ".join(edgeres("profile", "tiny", "--estimate", "all").stdout.decode().split())
    listed, _, left_out = told.partition("Not estimated, since their files have no [peaks]: ")
    assert "jetson-xavier-nx" in left_out
    assert "jetson-xavier-nx" not in listed
    assert "jetson-orin-nx" in listed
    assert "jetson," not in left_out  # a family
