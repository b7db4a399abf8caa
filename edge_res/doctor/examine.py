"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from edge_res.doctor.access import check_group, check_sensors
from edge_res.doctor.config import check_config
from edge_res.doctor.finding import Finding
from edge_res.doctor.packages import (
    check_bundle,
    check_engine,
    check_modules,
    check_numpy,
    check_onnxruntime,
    check_packages,
)
from edge_res.doctor.power import check_governor, check_power_mode, check_supply, check_throttling
from edge_res.doctor.sound import check_microphone, check_portaudio, check_sound_server
from edge_res.doctor.system import check_disk, check_memory, check_python, check_system

CHECKS = (
    check_system,
    check_python,
    check_memory,
    check_disk,
    check_packages,
    check_numpy,
    check_modules,
    check_onnxruntime,
    check_bundle,
    check_engine,
    check_config,
    check_portaudio,
    check_sound_server,
    check_group,
    check_microphone,
    check_sensors,
    check_throttling,
    check_supply,
    check_governor,
    check_power_mode,
)
# Checks that would only say again what one of these findings has said.
NEEDS: Mapping[Callable[[Path], Iterator[Finding]], tuple[str, ...]] = {
    check_packages: ("system", "python"),
    check_numpy: ("packages",),
    check_modules: ("packages", "numpy"),
    check_bundle: ("packages", "numpy"),
    check_engine: ("packages", "numpy", "bundle"),
    check_config: ("packages", "numpy"),
    check_portaudio: ("packages",),
    check_microphone: ("packages", "numpy", "portaudio"),
}


def examine(
    root: Path = Path("/"), checks: Sequence[Callable[[Path], Iterator[Finding]]] = CHECKS
) -> Iterator[Finding]:
    """The findings of all checks, each as soon as it is known; a check that itself fails is told, and the next one run.

    `root` is `/`, or a tree of a system's files: devices, /proc and /sys are looked at there. A check is left out, and
    told as unknown, where a problem was found with what it needs.
    """
    problems: set[str] = set()
    for check in checks:
        name = check.__name__.replace("check_", "").replace("_", "-")
        causes = [need for need in NEEDS.get(check, ()) if need in problems]
        if causes:
            problems.add(name)
            yield Finding(name, "unknown", f"Not looked at until the problem with {causes[0]} is mended.")
            continue
        for finding in _findings(name, check, root):
            yield finding
            if finding.severity == "problem":
                problems.add(finding.what)


def _findings(name: str, check: Callable[[Path], Iterator[Finding]], root: Path) -> Iterator[Finding]:
    try:
        yield from check(root)
    except ModuleNotFoundError as error:
        yield Finding(name, "unknown", f"The check {name} needs the package {error.name}.")
    except Exception as error:
        told = f"The check {name} itself has failed ({type(error).__name__}: {error}); please report this."
        yield Finding(name, "unknown", told)
