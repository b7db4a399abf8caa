"""Packages that conflict, are broken or missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_res.doctor import packages
from edge_res.doctor.finding import Finding
from edge_res.doctor.packages import (
    PIP,
    check_bundle,
    check_engine,
    check_modules,
    check_numpy,
    check_onnxruntime,
    check_packages,
    judge_clash,
    judge_engine,
    soften,
)
from edge_res.doctor.probe import Answer
from tests.doctor.broken import find_first, install

DIES = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
GOOD = {"engine": "LiteRT 2.3.0 (XNNPACK)", "mode": "step", "passed": True}


def test_numpy_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "numpy", "raise ImportError('libopenblas.so.0: cannot open shared object file')")
    find_first(tmp_path, monkeypatch)
    (found,) = check_numpy(tmp_path)
    assert found.severity == "problem"
    assert found.sentence == (
        "numpy cannot be imported: ImportError: libopenblas.so.0: cannot open shared object file."
    )
    assert found.command == f"{PIP} install --force-reinstall --no-cache-dir numpy"


def test_numpy_that_this_processor_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "numpy", DIES)
    find_first(tmp_path, monkeypatch)
    (found,) = check_numpy(tmp_path)
    assert "it was killed by SIGILL: it uses an instruction that this processor lacks" in found.sentence
    assert "OPENBLAS_CORETYPE=ARMV8" in found.command


def test_a_wheel_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "soundfile", "raise OSError('sndfile library not found')")
    find_first(tmp_path, monkeypatch)
    (found,) = check_modules(tmp_path)
    assert (found.severity, found.command) == ("problem", "sudo apt install libsndfile1")


def test_packages_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(check_packages(tmp_path)) == []
    for module in ("soxr", "sounddevice"):
        monkeypatch.setitem(sys.modules, module, None)  # as Python marks a module that cannot be found
    (found,) = check_packages(tmp_path)
    assert found.sentence == "Not installed: soxr, sounddevice."
    assert found.command == packages.how_to_install()


def test_how_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_FOLDER", tmp_path)
    assert packages.how_to_install() == f"{PIP} install edge-res"
    (tmp_path / "pyproject.toml").touch()
    assert packages.how_to_install() == f"{PIP} install {tmp_path}"
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert packages.how_to_install() == f"python3 -m venv .venv && .venv/bin/pip install {tmp_path}"


def test_two_onnx_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(check_onnxruntime(tmp_path)) == []
    install(tmp_path, "onnxruntime", "", "onnxruntime")
    install(tmp_path, "onnxruntime", "", "onnxruntime-gpu")
    find_first(tmp_path, monkeypatch)
    (found,) = check_onnxruntime(tmp_path)
    assert found.severity == "warning"
    assert "onnxruntime and onnxruntime-gpu contain the same files" in found.sentence
    assert found.command == f"{PIP} uninstall -y onnxruntime onnxruntime-gpu && {PIP} install onnxruntime"


@pytest.mark.parametrize(
    ("versions", "python", "command"),
    [
        ({"tflite-runtime": "2.14.0", "numpy": "2.4.6"}, (3, 11), "install 'numpy<2'"),
        ({"tflite-runtime": "2.14.0", "numpy": "2.4.6"}, (3, 12), "install ai-edge-litert"),
        (
            {"tflite-runtime": "2.14.0", "numpy": "2.4.6", "ai-edge-litert": "2.3.0"},
            (3, 11),
            "uninstall -y tflite-runtime",
        ),
    ],
)
def test_tflite_runtime_and_numpy_2(versions: dict[str, str], python: tuple[int, int], command: str) -> None:
    found = judge_clash(versions, python)
    assert found is not None
    assert "tflite-runtime 2.14.0 does not run with numpy 2.4.6" in found.sentence
    assert found.command == f"{PIP} {command}"


def test_tflite_runtime_and_numpy_1() -> None:
    assert judge_clash({"tflite-runtime": "2.14.0", "numpy": "1.26.4"}, (3, 11)) is None


def test_engines_run_the_golden_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this environment do; another one that crashes is only a warning."""
    install(tmp_path, "onnxruntime", DIES, "onnxruntime")
    find_first(tmp_path, monkeypatch)
    litert, onnxruntime = check_engine(tmp_path)
    assert litert.severity == "ok"
    assert litert.sentence.endswith("(XNNPACK) gives the default bundle's golden answers, to the bit.")
    assert onnxruntime.severity == "warning"
    assert "onnxruntime is installed but cannot run: it was killed by SIGILL" in onnxruntime.sentence


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "installed", lambda: {"numpy": "2.4.6"})
    (found,) = check_engine(tmp_path)
    assert (found.severity, found.command) == ("problem", f"{PIP} install ai-edge-litert")


def test_an_engine_with_wrong_answers_is_a_problem_even_if_another_works() -> None:
    wrong = judge_engine("litert", Answer({"checks": [GOOD, {**GOOD, "mode": "window", "passed": False}]}))
    assert "gives wrong answers on this machine in window mode" in wrong.sentence
    good = judge_engine("onnxruntime", Answer({"checks": [{**GOOD, "engine": "ONNX Runtime 1.32.0"}]}))
    assert [found.severity for found in soften([wrong, good])] == ["problem", "ok"]


def test_an_engine_that_cannot_run_is_a_problem_if_it_is_the_only_one() -> None:
    dead = judge_engine("litert", Answer(None, "ImportError: no libfoo"))
    assert [found.severity for found in soften([dead])] == ["problem"]
    assert [found.severity for found in soften([dead, Finding("engine", "ok", "")])] == ["warning", "ok"]


def test_an_engine_without_xnnpack() -> None:
    slow = judge_engine(
        "tflite-runtime", Answer({"checks": [{**GOOD, "engine": "tflite-runtime 2.14.0 (built-in kernels)"}]})
    )
    assert (slow.severity, slow.command) == ("warning", f"{PIP} install ai-edge-litert")


def test_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.severity for found in check_bundle(tmp_path)] == ["ok", "ok"]
    error = "default.edgeres: This is not a whole .edgeres bundle"
    monkeypatch.setattr(packages, "ask", lambda *question: Answer({"error": error}))
    monkeypatch.setattr(packages, "_FOLDER", tmp_path)
    found = next(check_bundle(tmp_path))
    assert (found.severity, found.sentence) == ("problem", error)
    assert found.command == f"{PIP} install --force-reinstall --no-deps edge-res"
    (tmp_path / ".git").mkdir()
    assert next(check_bundle(tmp_path)).command == f"git -C {tmp_path} checkout edge_res/data"
