"""What is installed: numpy, the engines and the bundled models, and packages that conflict."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_res.choices import ENGINES
from edge_res.doctor.finding import Finding
from edge_res.doctor.probe import Answer, ask

# Distributions that contain the module `onnxruntime`, for different processors.
ONNXRUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-qnn", "onnxruntime-rocm")
PIP = f"{sys.executable} -m pip"
# module: the Debian package with the library that its wheel may lack
MODULES = {"soxr": "", "soundfile": "libsndfile1"}
NEEDED = ("numpy", *MODULES, "sounddevice", "rich", "typer")
_FOLDER = Path(__file__).parents[2]  # of the clone that this runs in, or site-packages
_WRONG = "gives wrong answers"
_TFLITE_END = (3, 12)  # the first Python without a tflite-runtime


def installed() -> dict[str, str]:
    """The versions of all installed distributions by normalized name; of two, the one that is imported."""
    versions: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        name = found.metadata["Name"] if found.metadata else None
        if name:
            versions.setdefault(str(name).lower().replace("_", "-"), str(found.version))
    return versions


def distributions_of(engine: str) -> tuple[str, ...]:
    """The distributions that each contain the engine; on a Jetson, NVIDIA's onnxruntime-gpu replaces onnxruntime."""
    if engine == "onnxruntime":
        return ONNXRUNTIMES
    return (ENGINES[engine].distribution,) if engine in ENGINES else (engine,)


def is_here(module: str) -> bool:
    """Whether the module is installed; it is not imported."""
    return importlib.util.find_spec(module) is not None


def check_packages(root: Path) -> Iterator[Finding]:
    """Whether everything that all commands require is installed, except for an engine."""
    missing = [module for module in NEEDED if not is_here(module)]
    if missing:
        yield Finding("packages", "problem", f"Not installed: {', '.join(missing)}.", how_to_install())


def how_to_install() -> str:
    """The command that installs here, or outside of an environment into a new one (PEP 668 protects the system's)."""
    what = _FOLDER if (_FOLDER / "pyproject.toml").exists() else "edge-res"
    if sys.prefix == sys.base_prefix:
        return f"python3 -m venv .venv && .venv/bin/pip install {what}"
    return f"{PIP} install {what}"


def check_numpy(root: Path) -> Iterator[Finding]:
    """Whether numpy can be imported."""
    answer = ask("version", "numpy")
    if answer.value is not None:
        yield Finding("numpy", "ok", f"numpy {answer.value['version']}.")
        return
    command = f"{PIP} install --force-reinstall --no-cache-dir numpy"
    if "SIGILL" in answer.why:  # numpy#18131: OpenBLAS mistakes a Jetson's cores for others
        command = "echo 'export OPENBLAS_CORETYPE=ARMV8' >> ~/.profile && . ~/.profile"
    yield Finding("numpy", "problem", f"numpy cannot be imported: {answer.why}.", command)


def check_modules(root: Path) -> Iterator[Finding]:
    """Whether the modules that read recordings and resample can be imported."""
    for module, library in MODULES.items():
        answer = ask("version", module)
        if answer.value is None:
            lacks = library and answer.why.startswith("OSError")
            command = f"sudo apt install {library}" if lacks else f"{PIP} install --force-reinstall {module}"
            yield Finding("modules", "problem", f"{module} cannot be imported: {answer.why}.", command)


def check_onnxruntime(root: Path) -> Iterator[Finding]:
    """Whether more than one ONNX Runtime is installed."""
    yield from judge_onnxruntime(installed())


def judge_onnxruntime(versions: Mapping[str, str]) -> Iterator[Finding]:
    """The one installed last overwrote the others' files, and uninstalling one of them breaks the rest."""
    found = [name for name in ONNXRUNTIMES if name in versions]
    if len(found) < 2:
        return
    sentence = f"{' and '.join(found)} contain the same files, and the last one installed runs; keep the CPU version."
    command = f"{PIP} uninstall -y {' '.join(found)} && {PIP} install onnxruntime"
    yield Finding("onnxruntime", "warning", sentence, command)


def check_bundle(root: Path) -> Iterator[Finding]:
    """Whether the bundled models are intact."""
    for name in ("default", "tiny"):
        answer = ask("bundle", name)
        if answer.value is None:
            yield Finding("bundle", "unknown", f"The bundle {name} cannot be read here: {answer.why}.")
        elif "error" in answer.value:
            in_clone = (_FOLDER / ".git").exists()
            restore = f"git -C {_FOLDER} checkout edge_res/data"
            command = restore if in_clone else f"{PIP} install --force-reinstall --no-deps edge-res"
            yield Finding("bundle", "problem", str(answer.value["error"]), command)
        else:
            yield Finding("bundle", "ok", f"The bundle {name} is intact.")


def check_engine(root: Path) -> Iterator[Finding]:
    """Whether each installed engine gives the default bundle's golden answers, in both modes."""
    versions = installed()
    found: list[Finding] = []
    for engine in ENGINES:
        if any(name in versions for name in distributions_of(engine)):
            clash = judge_clash(versions, sys.version_info[:2]) if engine == "tflite-runtime" else None
            found.append(clash or judge_engine(engine, ask("engine", engine)))
    yield from soften(found)
    if not found:
        yield Finding("engine", "problem", "No engine is installed.", f"{PIP} install ai-edge-litert")


def judge_clash(versions: Mapping[str, str], python: tuple[int, ...]) -> Finding | None:
    """With numpy 2, tflite-runtime can be imported, but its `Interpreter()` raises `SystemError`."""
    numpy, tflite = versions.get("numpy", ""), versions.get("tflite-runtime", "")
    if int(numpy.split(".")[0] or 0) < 2:
        return None
    sentence = f"tflite-runtime {tflite} does not run with numpy {numpy}; it requires numpy < 2"
    if "ai-edge-litert" in versions:
        sentence, command = f"{sentence}; its successor LiteRT is installed", f"{PIP} uninstall -y tflite-runtime"
    elif python < _TFLITE_END:
        command = f"{PIP} install 'numpy<2'"
    else:
        command = f"{PIP} install ai-edge-litert"
    return Finding("engine", "problem", f"{sentence}.", command)


def judge_engine(engine: str, answer: Answer) -> Finding:
    """The finding about an installed engine, by the answer of `inside.engine`."""
    found, why = answer.value, answer.why
    distribution = ENGINES[engine].distribution
    again = f"{PIP} install --force-reinstall {distribution}"
    if found is None:
        lacks = "SIGILL" in why
        command = f"{PIP} uninstall -y {distribution}" if lacks else again
        return Finding("engine", "problem", f"{distribution} is installed but cannot run: {why}.", command)
    if "error" in found:
        return Finding("engine", "problem", str(found["error"]), again)
    checks: Sequence[Mapping[str, Any]] = found["checks"]
    failed = [check for check in checks if not check["passed"]]
    name = checks[0]["engine"]
    if failed:
        modes = " and ".join(sorted({check["mode"] for check in failed}))
        sentence = f"{name} {_WRONG} on this machine in {modes} mode; use another engine, and report this."
        return Finding("engine", "problem", sentence, "edgeres verify")
    if "built-in" in name:
        sentence = f"{name} runs without XNNPACK: it is slower, and its logits may differ by 2."
        return Finding("engine", "warning", sentence, f"{PIP} install ai-edge-litert")
    return Finding("engine", "ok", f"{name} gives the default bundle's golden answers, to the bit.")


def soften(found: Sequence[Finding]) -> Iterator[Finding]:
    """An engine that does not run is only a warning if another one does; wrong answers are always a problem."""
    works = any(finding.severity in ("ok", "warning") for finding in found)
    for finding in found:
        harmless = works and finding.severity == "problem" and _WRONG not in finding.sentence
        yield replace(finding, severity="warning") if harmless else finding
