"""What is installed: numpy, the engines, the bundles that come along, and what of it gets in another's way."""

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

# Distributions that own the module `onnxruntime`, each for other processors.
ONNXRUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-qnn", "onnxruntime-rocm")
PIP = f"{sys.executable} -m pip"
# module: the Debian package that it needs where its wheel lacks a library
MODULES = {"soxr": "", "soundfile": "libsndfile1"}
NEEDED = ("numpy", *MODULES, "sounddevice", "rich", "typer")
_FOLDER = Path(__file__).parents[2]  # of the clone that this runs in, or site-packages
_WRONG = "gives wrong answers"
_TFLITE_END = (3, 12)  # the first Python without a tflite-runtime


def installed() -> dict[str, str]:
    """Versions of all distributions of this Python, by their normalized name; of two, the one that is imported."""
    versions: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        name = found.metadata["Name"] if found.metadata else None
        if name:
            versions.setdefault(str(name).lower().replace("_", "-"), str(found.version))
    return versions


def distributions_of(engine: str) -> tuple[str, ...]:
    """Those that bring an engine, each alone; on a Jetson NVIDIA's onnxruntime-gpu takes the place of onnxruntime."""
    if engine == "onnxruntime":
        return ONNXRUNTIMES
    return (ENGINES[engine].distribution,) if engine in ENGINES else (engine,)


def is_here(module: str) -> bool:
    """Whether there is such a module; it is not imported."""
    return importlib.util.find_spec(module) is not None


def check_packages(root: Path) -> Iterator[Finding]:
    """Whether all is here that every command needs, an engine aside; later checks leave out what is missing."""
    missing = [module for module in NEEDED if not is_here(module)]
    if missing:
        yield Finding("packages", "problem", f"Not installed: {', '.join(missing)}.", how_to_install())


def how_to_install() -> str:
    """Into this environment; where this is none, as in a fresh clone, into a new one (PEP 668 forbids the system's)."""
    what = _FOLDER if (_FOLDER / "pyproject.toml").exists() else "edge-res"
    if sys.prefix == sys.base_prefix:
        return f"python3 -m venv .venv && .venv/bin/pip install {what}"
    return f"{PIP} install {what}"


def check_numpy(root: Path) -> Iterator[Finding]:
    """Whether numpy can be imported."""
    answer = ask("version", "numpy")
    if answer.told is not None:
        yield Finding("numpy", "ok", f"numpy {answer.told['version']}.")
        return
    command = f"{PIP} install --force-reinstall --no-cache-dir numpy"
    if "SIGILL" in answer.why:  # numpy#18131: OpenBLAS takes a Jetson's cores for others
        command = "echo 'export OPENBLAS_CORETYPE=ARMV8' >> ~/.profile && . ~/.profile"
    yield Finding("numpy", "problem", f"numpy cannot be imported: {answer.why}.", command)


def check_modules(root: Path) -> Iterator[Finding]:
    """What reads recordings and resamples."""
    for module, library in MODULES.items():
        answer = ask("version", module)
        if answer.told is None:
            lacks = library and answer.why.startswith("OSError")
            command = f"sudo apt install {library}" if lacks else f"{PIP} install --force-reinstall {module}"
            yield Finding("modules", "problem", f"{module} cannot be imported: {answer.why}.", command)


def check_onnxruntime(root: Path) -> Iterator[Finding]:
    """Whether there is more than one ONNX Runtime."""
    yield from judge_onnxruntime(installed())


def judge_onnxruntime(versions: Mapping[str, str]) -> Iterator[Finding]:
    """Of several, the one installed last has overwritten the others' files; taking one away breaks the rest."""
    found = [name for name in ONNXRUNTIMES if name in versions]
    if len(found) < 2:
        return
    told = f"{' and '.join(found)} own the same files: the one installed last runs; keep one, the CPU's"
    command = f"{PIP} uninstall -y {' '.join(found)} && {PIP} install onnxruntime"
    yield Finding("onnxruntime", "warning", f"{told}.", command)


def check_bundle(root: Path) -> Iterator[Finding]:
    """Whether the models that come along are whole."""
    for name in ("default", "tiny"):
        answer = ask("bundle", name)
        if answer.told is None:
            yield Finding("bundle", "unknown", f"The bundle {name} cannot be read here: {answer.why}.")
        elif "error" in answer.told:
            in_clone = (_FOLDER / ".git").exists()
            mend = f"git -C {_FOLDER} checkout edge_res/data"
            command = mend if in_clone else f"{PIP} install --force-reinstall --no-deps edge-res"
            yield Finding("bundle", "problem", str(answer.told["error"]), command)
        else:
            yield Finding("bundle", "ok", f"The bundle {name} is whole.")


def check_engine(root: Path) -> Iterator[Finding]:
    """Each installed engine runs the default bundle's golden stream, in both modes."""
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
    """tflite-runtime imports with numpy 2, and then its `Interpreter()` raises `SystemError`."""
    numpy, tflite = versions.get("numpy", ""), versions.get("tflite-runtime", "")
    if int(numpy.split(".")[0] or 0) < 2:
        return None
    told = f"tflite-runtime {tflite} does not run with numpy {numpy}, it needs numpy < 2"
    if "ai-edge-litert" in versions:
        told, command = f"{told}; LiteRT, its successor, is here", f"{PIP} uninstall -y tflite-runtime"
    elif python < _TFLITE_END:
        command = f"{PIP} install 'numpy<2'"
    else:
        command = f"{PIP} install ai-edge-litert"
    return Finding("engine", "problem", f"{told}.", command)


def judge_engine(engine: str, answer: Answer) -> Finding:
    """What `inside.engine` has told of an engine that is installed."""
    told, why = answer.told, answer.why
    distribution = ENGINES[engine].distribution
    again = f"{PIP} install --force-reinstall {distribution}"
    if told is None:
        lacks = "SIGILL" in why
        command = f"{PIP} uninstall -y {distribution}" if lacks else again
        return Finding("engine", "problem", f"{distribution} is installed and cannot run: {why}.", command)
    if "error" in told:
        return Finding("engine", "problem", str(told["error"]), again)
    checks: Sequence[Mapping[str, Any]] = told["checks"]
    failed = [check for check in checks if not check["passed"]]
    name = checks[0]["engine"]
    if failed:
        modes = " and ".join(sorted({check["mode"] for check in failed}))
        sentence = f"{name} {_WRONG} on this machine in the mode {modes}; use another engine, and report it."
        return Finding("engine", "problem", sentence, "edgeres verify")
    if "built-in" in name:
        sentence = f"{name} runs without XNNPACK: slower, and its answers may differ by 2 in the logits."
        return Finding("engine", "warning", sentence, f"{PIP} install ai-edge-litert")
    return Finding("engine", "ok", f"{name} gives the default bundle's golden answers, to the bit.")


def soften(found: Sequence[Finding]) -> Iterator[Finding]:
    """An engine that does not run is no more than a warning where another does; wrong answers are always a problem."""
    works = any(finding.severity in ("ok", "warning") for finding in found)
    for finding in found:
        harmless = works and finding.severity == "problem" and _WRONG not in finding.sentence
        yield replace(finding, severity="warning") if harmless else finding
