"""The operating system, of a Raspberry Pi and of a Jetson as well."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.readings import text

# By the major release of L4T (https://developer.nvidia.com/embedded/jetpack-archive).
_JETPACKS = {"32": "4", "34": "5", "35": "5", "36": "6", "38": "7", "39": "7"}


@dataclass(frozen=True)
class System:
    """What os-release(5) says; Pi OS; on a Jetson the release of L4T (Jetson Linux), such as 36.4.3, and JetPack, 6."""

    name: str
    id: str
    version: str
    codename: str
    is_pi_os: bool
    l4t: str
    jetpack: str
    kernel: str
    machine: str
    bits: int  # of this Python

    def __str__(self) -> str:
        own = ", Raspberry Pi OS" if self.is_pi_os else ""
        tegra = f", JetPack {self.jetpack or '?'} (L4T {self.l4t})" if self.l4t else ""
        return f"{self.name or 'Linux'}{own}{tegra}, kernel {self.kernel}"


def read_system(root: Path = Path("/")) -> System:
    release, l4t = _release(root), _l4t(root)
    return System(
        name=release.get("PRETTY_NAME", ""),
        id=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        # The 64-bit Pi OS calls itself Debian; pi-gen, which makes its images, leaves this file (stage 2).
        is_pi_os=release.get("ID") == "raspbian" or (root / "etc/rpi-issue").is_file(),
        l4t=l4t,
        jetpack=_JETPACKS.get(l4t.partition(".")[0], ""),
        kernel=text(root / "proc/sys/kernel/osrelease") or platform.release(),
        machine=platform.machine(),
        bits=64 if sys.maxsize > 1 << 32 else 32,
    )


def _release(root: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in (text(root / "etc/os-release")).splitlines())
    found = {}
    for name, equals, value in pairs:
        if equals and not name.startswith("#"):
            try:
                found[name] = "".join(shlex.split(value))
            except ValueError:  # an odd quote
                found[name] = value
    return found


def _l4t(root: Path) -> str:
    """`# R36 (release), REVISION: 4.3, GCID: 38968081, …` is 36.4.3."""
    found = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text(root / "etc/nv_tegra_release"))
    return f"{found[1]}.{found[2]}" if found else ""


FEATURES = (
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
    "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8",
)  # fmt: skip
# Implementer and part, as arch/arm64/include/asm/cputype.h has them.
_PARTS = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xd83"): "Neoverse-V3AE",
    ("0x4e", "0x003"): "Denver 2",
    ("0x4e", "0x004"): "Carmel",
}


@dataclass(frozen=True)
class Cores:
    """Cores of a kind: what they are called, their numbers, and which of `FEATURES` they have."""

    name: str
    cores: tuple[int, ...]
    features: tuple[str, ...]


def read_cores(root: Path = Path("/")) -> tuple[Cores, ...]:
    """The kinds of cores that run, in the order of their first."""
    kinds: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for block in text(root / "proc/cpuinfo").split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        if fields.get("processor", "").isdecimal():
            has = (fields.get("Features") or fields.get("flags") or "").split()
            kind = _name(fields), tuple(feature for feature in FEATURES if feature in has)
            kinds.setdefault(kind, []).append(int(fields["processor"]))
    return tuple(Cores(name, tuple(numbers), features) for (name, features), numbers in kinds.items())


def _name(fields: dict[str, str]) -> str:
    """Arm names its parts by numbers; `model name` says no more there than `ARMv8 Processor rev 1 (v8l)`."""
    part = fields.get("CPU implementer", ""), fields.get("CPU part", "")
    if part in _PARTS:
        return _PARTS[part]
    return fields.get("model name") or " ".join(filter(None, part)) or "unknown"


def read_memory_bytes(root: Path = Path("/")) -> int | None:
    """All of the memory that Linux has."""
    words = text(root / "proc/meminfo").split()
    if words[:1] == ["MemTotal:"] and len(words) > 1 and words[1].isdecimal():
        return 1024 * int(words[1])
    return None


def stay_on(cores: Sequence[int]) -> str | None:
    """Keep this process, its threads and its children on these cores (sched_setaffinity(2)); no cores: on all.

    Returns the sentence that says so, also where none of them may be used, and all others stay.
    """
    if not cores:
        return None
    usable = os.sched_getaffinity(0) & set(cores)
    listed = ", ".join(map(str, cores))
    if not usable:
        return f"none of the cores {listed}, which the device file names, can be used here: all others are"
    for thread in Path("/proc/self/task").iterdir():  # numpy has started some when it was imported
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), usable)
    return f"staying on the cores {', '.join(map(str, sorted(usable)))}"


@dataclass(frozen=True)
class Board:
    """The device tree's model and compatible texts, DMI's vendor and product; empty where there are none."""

    model: str = ""
    compatible: tuple[str, ...] = ()
    vendor: str = ""
    product: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.model or " ".join(filter(None, (self.vendor, self.product)))

    @property
    def soc(self) -> str:
        """The most general of the compatible texts is the SoC's, such as `brcm,bcm2712`."""
        return self.compatible[-1] if self.compatible else ""


def read_board(root: Path = Path("/")) -> Board:
    tree, dmi = root / "proc/device-tree", root / "sys/class/dmi/id"
    return Board(
        model=text(tree / "model"),
        compatible=tuple(name for name in text(tree / "compatible").split("\0") if name),
        vendor=text(dmi / "sys_vendor"),
        product=text(dmi / "product_name"),
    )


_HAILO, _NVIDIA = "0x1e60", "0x10de"
_PCI = {("0x1ac1", "0x089a"): "Coral Edge TPU"}
# A Coral stick is Global Unichip's before its first use, and then Google's.
_USB = {("1a6e", "089a"): "Coral Edge TPU", ("18d1", "9302"): "Coral Edge TPU"}
_DISPLAY = "0x03"  # the class of PCI devices that GPUs are of


@dataclass(frozen=True)
class Accelerator:
    name: str
    where: str


def read_accelerators(root: Path = Path("/")) -> tuple[Accelerator, ...]:
    return (*_pci(root), *_usb(root), *_tegra(root))


def _pci(root: Path) -> Iterator[Accelerator]:
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor, number = text(device / "vendor"), text(device / "device")
        if (vendor, number) in _PCI:
            yield Accelerator(_PCI[vendor, number], f"PCI {device.name}")
        elif vendor == _HAILO:
            yield Accelerator("Hailo", f"PCI {device.name}")
        elif vendor == _NVIDIA and text(device / "class").startswith(_DISPLAY):
            # The driver, where it runs, knows the model: `Model:           NVIDIA GeForce RTX 3060`.
            told = text(root / "proc/driver/nvidia/gpus" / device.name / "information")
            model = next(
                (line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("Model:")), ""
            )
            yield Accelerator(model or "NVIDIA GPU", f"PCI {device.name}")


def _usb(root: Path) -> Iterator[Accelerator]:
    for device in sorted((root / "sys/bus/usb/devices").glob("*")):
        name = _USB.get((text(device / "idVendor"), text(device / "idProduct")))
        if name:
            yield Accelerator(name, f"USB {device.name}")


def _tegra(root: Path) -> Iterator[Accelerator]:
    """A Jetson's GPU is on no bus; its driver's device is there."""
    for node in ("dev/nvhost-gpu", "dev/nvgpu"):
        if (root / node).exists():
            yield Accelerator("NVIDIA GPU of the SoC", f"/{node}")
            return


def machine_name(root: Path = Path("/")) -> str:
    """Board or processor, architecture and cores: by this saved settings are found again."""
    cores = os.cpu_count() or 1
    return f"{board(root) or processor(root)}, {platform.machine()}, {cores} core{'s' * (cores > 1)}"


def board(root: Path) -> str:
    """The device tree's model; empty where there is none."""
    return read_board(root).model


def processor(root: Path) -> str:
    """As /proc/cpuinfo names it, which on ARM it often does not: then the architecture."""
    try:
        lines = (root / "proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return next((name for name in names if name), platform.machine())
