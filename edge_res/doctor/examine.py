"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_res.doctor.access import check_sensor_access, check_sound_access
from edge_res.doctor.finding import Finding
from edge_res.doctor.packages import (
    check_bundles,
    check_engines,
    check_installed,
    check_modules,
    check_numpy,
    check_onnxruntimes,
)
from edge_res.doctor.power import check_governor, check_power_mode, check_supply, check_throttling
from edge_res.doctor.saved import check_saved
from edge_res.doctor.sound import check_microphone, check_portaudio, check_sound_server
from edge_res.doctor.system import check_disk, check_memory, check_python, check_system

# What others need comes first: where numpy is broken, so is all that follows.
CHECKS = (
    check_system,
    check_python,
    check_memory,
    check_disk,
    check_installed,
    check_numpy,
    check_modules,
    check_onnxruntimes,
    check_bundles,
    check_engines,
    check_saved,
    check_portaudio,
    check_sound_server,
    check_sound_access,
    check_microphone,
    check_sensor_access,
    check_throttling,
    check_supply,
    check_governor,
    check_power_mode,
)


def examine(
    root: Path = Path("/"), checks: Sequence[Callable[[Path], Iterator[Finding]]] = CHECKS
) -> Iterator[Finding]:
    """The findings of all checks, each as soon as it is known; a check that itself fails is told, and the next one run.

    `root` is `/`, or a tree of a system's files: devices, /proc and /sys are looked at there.
    """
    for check in checks:
        yield from _findings(check, root)


def _findings(check: Callable[[Path], Iterator[Finding]], root: Path) -> Iterator[Finding]:
    name = check.__name__.replace("check_", "")
    try:
        yield from check(root)
    except ModuleNotFoundError as error:
        yield Finding(name, "unknown", f"The check {name} needs the package {error.name}.")
    except Exception as error:
        told = f"The check {name} itself has failed ({type(error).__name__}: {error}); please report this."
        yield Finding(name, "unknown", told)
