"""All checks, one after another."""

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
# Checks that are skipped after a problem with one of these, since they would only report it again.
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
    """The findings of all checks, each as soon as it is known.

    A check that raises is reported as unknown, and so is one that is skipped because of a problem with something that
    it `NEEDS`. `root` is `/`, or a copy of a machine's file system, where devices, /proc and /sys are looked up.
    """
    problems: set[str] = set()
    for check in checks:
        name = check.__name__.replace("check_", "").replace("_", "-")
        causes = [need for need in NEEDS.get(check, ()) if need in problems]
        if causes:
            problems.add(name)
            yield Finding(name, "unknown", f"Not checked until the problem with {causes[0]} is fixed.")
            continue
        for finding in _findings(name, check, root):
            yield finding
            if finding.severity == "problem":
                problems.add(finding.what)


def _findings(name: str, check: Callable[[Path], Iterator[Finding]], root: Path) -> Iterator[Finding]:
    try:
        yield from check(root)
    except ModuleNotFoundError as error:
        yield Finding(name, "unknown", f"The check {name} requires the package {error.name}.")
    except Exception as error:
        sentence = f"The check {name} itself failed ({type(error).__name__}: {error}); please report this."
        yield Finding(name, "unknown", sentence)
