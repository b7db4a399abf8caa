"""`edgeres devices`, and `--device` of listen and profile."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edge_res.choices import ENGINES
from edge_res.commands.devices import engine, lines, ranges, survey
from edge_res.devices import detect, known_devices
from tests.devices.boards import BOARDS, OTHERS, device_tree, write_file
from tests.devices.readings import READINGS
from tests.edgeres import edgeres, sentence
from tests.edgeres import lines as objects


@pytest.fixture(autouse=True)
def no_files_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_this_machine_as_json_and_as_a_table() -> None:
    (body,) = objects(edgeres("devices", "--json"))
    assert body["edgeres_devices"] == 1
    assert body["device"]["name"] == detect().name
    assert sum(len(cores["cores"]) for cores in body["cores"]) == os.cpu_count()
    assert body["engines"]["litert"]["runs"].startswith("LiteRT ")
    assert body["engines"]["onnxruntime"]["providers"]
    assert set(body["audio"]) == {"inputs", "why"}
    for key in ("board", "memory_bytes", "system", "accelerators", "temperatures_c", "clocks", "throttling", "rails"):
        assert key in body
    told = edgeres("devices")
    assert told.returncode == 0
    assert b"\x1b" not in told.stdout
    for part in ("device file", "LiteRT ", "Python", "audio input", "throttling"):
        assert part in told.stdout.decode()


def test_a_boards_survey_is_of_its_tree(tmp_path: Path) -> None:
    for build in READINGS["raspberry-pi-5"][0]:
        build(tmp_path)
    found = survey(device_tree(tmp_path, *BOARDS["raspberry-pi-5"][0]))
    assert found["device"]["name"] == "raspberry-pi-5"
    assert len(found["rails"]) == 12
    told = list(lines(found))
    assert ("board", "Raspberry Pi 5 Model B Rev 1.0") in told
    assert ("SoC", "Broadcom BCM2712") in told
    assert ("temperatures", "cpu-thermal 61.3 °C") in told
    assert ("clock 0-3", "2400 MHz, 600 to 2400 of 2400 MHz, governor ondemand") in told
    assert ("clock, measured", "600 MHz, by the firmware") in told
    assert ("throttling", "now: the supply voltage is too low") in told
    assert ("power rail", "VDD_CORE 9.761 W") in told


def test_the_soc_of_a_board_without_a_file_is_the_device_trees(tmp_path: Path) -> None:
    assert survey(tmp_path)["soc"] == ""
    found = survey(device_tree(tmp_path, *OTHERS[1]))
    assert found["soc"] == "rockchip,rk3399"
    assert ("SoC", "rockchip,rk3399") in list(lines(found))


def test_an_onnxruntime_for_a_gpu_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVIDIA's for Jetsons: the same module, by another name."""
    pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    monkeypatch.setattr("edge_res.commands.devices.installed", lambda: {"onnxruntime-gpu": "1.23.0"})
    found = engine("onnxruntime")
    assert found["version"] == "1.23.0"
    assert found["runs"].startswith("ONNX Runtime ")
    assert engine("litert")["version"] is None


def test_the_survey_runs_without_numpy() -> None:
    result = edgeres("devices", "--json", before="import sys; sys.modules['numpy'] = None")
    assert result.returncode == 0, result.stderr
    (body,) = objects(result)
    assert set(body["engines"]) == set(ENGINES)


def test_an_engine_that_crashes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine("abacus") == {"version": None, "runs": None, "providers": [], "why": "not installed"}
    write_file(tmp_path / "python", "#!/bin/sh\nkill -ILL $$\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    found = engine("litert")
    assert found["runs"] is None
    assert found["why"] == "it was killed by SIGILL: it uses an instruction that this processor lacks"
    told = lines({**survey(tmp_path), "engines": {"litert": found}})
    assert ("litert", f"{found['version']} {found['why']}") in told


def test_the_files_that_are_known(tmp_path: Path) -> None:
    write_file(tmp_path / "config/edgeres/devices/gateway.toml", 'title = "our gateway"\n')
    told = edgeres("devices", "--known").stdout.decode()
    assert [line.split()[0] for line in told.splitlines()[1:] if not line.startswith(" ")] == sorted(known_devices())
    assert "our gateway" in told
    assert told.count("← this") == 1
    (body,) = objects(edgeres("devices", "--known", "--json"))
    assert {one["name"] for one in body["devices"]} == set(known_devices())
    assert {one["name"] for one in body["devices"] if one["soc"] and one["here"]} <= {detect().name}


def test_the_facts_of_a_file() -> None:
    told = edgeres("devices", "--device", "jetson-tx2").stdout.decode()
    for part in ("NVIDIA Tegra X2", "4 × Cortex-A57", "untested:", "never tested on a real board"):
        assert part in told
    assert "runs on cores 0, 3-5" in " ".join(told.split())
    (body,) = objects(edgeres("devices", "--device", "jetson-tx2", "--json"))
    assert body["affinity"] == [0, 3, 4, 5]
    assert body["peaks"]["int8_gmacs"] == 16
    assert "toaster" in sentence(edgeres("devices", "--device", "toaster"))


def test_of_a_file_of_ones_own_nothing_is_claimed(tmp_path: Path) -> None:
    write_file(tmp_path / "mine.toml", 'soc = "ours"\n')
    told = edgeres("devices", "--device", tmp_path / "mine.toml").stdout.decode()
    assert "ours" in told
    assert "never tested" not in told


def test_a_file_of_ones_own_that_cannot_be_used_stops_only_what_names_it(tmp_path: Path) -> None:
    write_file(tmp_path / "config/edgeres/devices/generic-mine.toml", "treads = 2\n")
    quick = ("--engine", "litert", "--mode", "step", "--threads", "1", "--seconds", "0.1", "--tries", "1")
    for arguments in (
        ("devices",),
        ("devices", "--known"),
        ("devices", "--device", "generic"),
        ("profile", "tiny", "--estimate", "raspberry-pi-5"),
        ("profile", "tiny", "--estimate", "all", "--json"),
        ("profile", "tiny", *quick),
        ("listen", "demo:", "--model", "tiny"),
    ):
        done = edgeres(*arguments)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout
        (told,) = [line for line in done.stderr.decode().splitlines() if "treads" in line]
        assert told.endswith(" It is ignored.")
    refused = edgeres("listen", "yes-0.flac", "--device", "generic-mine")
    assert refused.returncode == 2
    assert "unknown key 'treads'" in sentence(refused)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["devices", "--known", "--device", "jetson"], "leave one of them out"),
        (["listen", "yes-0.flac", "--device", ""], "There is no device ''"),
        (["profile", "--device", ""], "There is no device ''"),
        (["profile", "--estimate", ""], "'' is not a device"),
        (["profile", "--host", ""], "'' is not a host"),
    ],
)
def test_an_option_without_its_value_is_no_option_left_out(arguments: list[str], told: str) -> None:
    refused = edgeres(*arguments)
    assert refused.returncode == 2
    assert told in sentence(refused)


def test_ranges() -> None:
    assert ranges([0, 3, 4, 5, 7]) == "0, 3-5, 7"
    assert ranges([]) == ""


WHERE = "import atexit, os; atexit.register(lambda: os.write(2, b'cores %r' % sorted(os.sched_getaffinity(0))))"


def test_listen_stays_on_the_cores_and_takes_the_first_engine_that_is_here(tmp_path: Path) -> None:
    last = max(os.sched_getaffinity(0))
    own = tmp_path / "own.toml"
    own.write_text(f'engines = ["tflite-runtime", "onnxruntime"]\nthreads = 2\naffinity = [{last}, 200]\n')
    done = edgeres("listen", "demo:", "--model", "tiny", "--device", own, before=WHERE)
    assert f"cores [{last}]" in done.stderr.decode()
    said = done.stderr.decode()
    assert f"running on the cores {last} only\n" in said
    assert "Using onnxruntime instead, the next in order." in said
    assert "ONNX Runtime" in said
    assert "2 threads" in said


def test_profile_stays_on_the_cores_and_reads_the_sensors_that_a_file_names(tmp_path: Path) -> None:
    last = max(os.sched_getaffinity(0))
    own = tmp_path / "own.toml"
    own.write_text(f'recognised_by = ["no such board"]\naffinity = [{last}]\n')
    arguments = ("--engine", "litert", "--mode", "step", "--seconds", "0.1", "--tries", "1", "--json")
    done = edgeres("profile", "tiny", "--device", own, *arguments, before=WHERE)
    (body,) = objects(done)
    assert [row["threads"] for row in body["rows"]] == [1]  # of one core
    assert f"running on the cores {last} only" in done.stderr.decode()
    assert f"cores [{last}]" in done.stderr.decode()
    assert "not recognised as own" in done.stderr.decode()
    assert body["device"]["file"] == detect().name
