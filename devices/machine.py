"""What this machine is: its board, operating system, cores, memory and accelerators, and which cores it runs on.

`root` is `/`, or a copy of a machine's file system.
"""

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

# CPU features that decide how fast int8 is. Linux names those of Arm in arch/arm64/kernel/cpuinfo.c: `asimddp` is the
# int8 dot product (SDOT), `i8mm` the int8 matrix product, `asimdhp` fp16. On x86, `avx_vnni` and `avx512_vnni` are the
# dot products.
FEATURES = (
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
    "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8",
)  # fmt: skip
# JetPack by the major release of L4T (https://developer.nvidia.com/embedded/jetpack-archive).
_JETPACKS = {"32": "4", "34": "5", "35": "5", "36": "6", "38": "7", "39": "7"}
# Arm cores by implementer and part (arch/arm64/include/asm/cputype.h).
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
# Accelerators by vendor and device number on PCI and USB.
_HAILO, _NVIDIA = "0x1e60", "0x10de"
_PCI = {("0x1ac1", "0x089a"): "Coral Edge TPU"}
# A Coral stick reports Global Unichip's number before its first use, Google's afterwards.
_USB = {("1a6e", "089a"): "Coral Edge TPU", ("18d1", "9302"): "Coral Edge TPU"}
_DISPLAY = "0x03"  # the PCI class of GPUs


@dataclass(frozen=True)
class Board:
    """What a machine calls itself; a text that is missing is empty.

    The root node of a device tree has a `model`, one text, and `compatible`, texts from the most specific to the most
    general (Devicetree Specification 0.4, 2.3). A PC has DMI's `vendor` and `product` instead.
    """

    model: str = ""
    compatible: tuple[str, ...] = ()
    vendor: str = ""
    product: str = ""

    @property
    def name(self) -> str:
        """The model, else vendor and product."""
        return self.model or " ".join(filter(None, (self.vendor, self.product)))

    @property
    def soc(self) -> str:
        """The SoC, such as `brcm,bcm2712`: the most general of the compatible texts."""
        return self.compatible[-1] if self.compatible else ""


@dataclass(frozen=True)
class System:
    """The operating system, by os-release(5) and uname(2).

    On a Jetson `l4t` is the release of Jetson Linux, such as 36.4.3, and `jetpack` the major version, such as 6.
    """

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


@dataclass(frozen=True)
class Cores:
    """Identical cores: their name, their numbers, and which of `FEATURES` they have."""

    name: str
    cores: tuple[int, ...]
    features: tuple[str, ...]


@dataclass(frozen=True)
class Accelerator:
    """What could compute besides the cores, and where it is connected. edge-res uses none of them."""

    name: str
    where: str


def machine_name(root: Path = Path("/")) -> str:
    """Board or processor, architecture and number of cores; saved settings are found by this name."""
    cores = os.cpu_count() or 1
    return f"{read_board(root).model or processor(root)}, {platform.machine()}, {cores} core{'s' * (cores > 1)}"


def processor(root: Path) -> str:
    """The processor's name in /proc/cpuinfo; the architecture if it has none, as often on Arm."""
    try:
        lines = (root / "proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return next((name for name in names if name), platform.machine())


def read_board(root: Path = Path("/")) -> Board:
    """The names of the board, from the device tree (`/proc/device-tree`) and DMI (`/sys/class/dmi/id`)."""
    tree, dmi = root / "proc/device-tree", root / "sys/class/dmi/id"
    return Board(
        model=text(tree / "model"),
        compatible=tuple(name for name in text(tree / "compatible").split("\0") if name),
        vendor=text(dmi / "sys_vendor"),
        product=text(dmi / "product_name"),
    )


def read_system(root: Path = Path("/")) -> System:
    """The operating system; a text that is missing is empty."""
    release, l4t = _release(root), _l4t(root)
    return System(
        name=release.get("PRETTY_NAME", ""),
        id=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        # The 64-bit Pi OS calls itself Debian; pi-gen, which builds its images, adds this file (stage 2).
        is_pi_os=release.get("ID") == "raspbian" or (root / "etc/rpi-issue").is_file(),
        l4t=l4t,
        jetpack=_JETPACKS.get(l4t.partition(".")[0], ""),
        kernel=text(root / "proc/sys/kernel/osrelease") or platform.release(),
        machine=platform.machine(),
        bits=64 if sys.maxsize > 1 << 32 else 32,
    )


def read_cores(root: Path = Path("/")) -> tuple[Cores, ...]:
    """The kinds of cores that are online, by their lowest number (`/proc/cpuinfo`, proc(5))."""
    kinds: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for block in text(root / "proc/cpuinfo").split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        if fields.get("processor", "").isdecimal():
            has = (fields.get("Features") or fields.get("flags") or "").split()
            kind = _core_name(fields), tuple(feature for feature in FEATURES if feature in has)
            kinds.setdefault(kind, []).append(int(fields["processor"]))
    return tuple(Cores(name, tuple(numbers), features) for (name, features), numbers in kinds.items())


def read_memory_bytes(root: Path = Path("/")) -> int | None:
    """The memory that Linux manages; None if unknown."""
    words = text(root / "proc/meminfo").split()
    if words[:1] == ["MemTotal:"] and len(words) > 1 and words[1].isdecimal():
        return 1024 * int(words[1])
    return None


def read_accelerators(root: Path = Path("/")) -> tuple[Accelerator, ...]:
    """The accelerators on PCI and USB, and the GPU of a Jetson."""
    return (*_pci(root), *_usb(root), *_tegra(root))


def stay_on(cores: Sequence[int]) -> str | None:
    """Keep this process, its threads and its future children on these cores (sched_setaffinity(2)).

    Returns a sentence about it: which cores are used, or that none of them is available and all remain in use. Without
    `cores` nothing is done and None returned.
    """
    if not cores:
        return None
    usable = os.sched_getaffinity(0) & set(cores)
    if not usable:
        listed = ", ".join(map(str, cores))
        return f"none of the cores {listed} named in the device file is available; using all cores"
    for thread in Path("/proc/self/task").iterdir():  # importing numpy has started some
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), usable)
    return f"running on the cores {', '.join(map(str, sorted(usable)))} only"


def _release(root: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in (text(root / "etc/os-release")).splitlines())
    found = {}
    for name, equals, value in pairs:
        if equals and not name.startswith("#"):
            try:
                found[name] = "".join(shlex.split(value))
            except ValueError:  # an unmatched quote
                found[name] = value
    return found


def _l4t(root: Path) -> str:
    """`# R36 (release), REVISION: 4.3, GCID: 38968081, …` is 36.4.3."""
    found = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text(root / "etc/nv_tegra_release"))
    return f"{found[1]}.{found[2]}" if found else ""


def _core_name(fields: dict[str, str]) -> str:
    """Arm identifies its parts by number; there `model name` is only `ARMv8 Processor rev 1 (v8l)`."""
    part = fields.get("CPU implementer", ""), fields.get("CPU part", "")
    if part in _PARTS:
        return _PARTS[part]
    return fields.get("model name") or " ".join(filter(None, part)) or "unknown"


def _pci(root: Path) -> Iterator[Accelerator]:
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor, number = text(device / "vendor"), text(device / "device")
        if (vendor, number) in _PCI:
            yield Accelerator(_PCI[vendor, number], f"PCI {device.name}")
        elif vendor == _HAILO:
            yield Accelerator("Hailo", f"PCI {device.name}")
        elif vendor == _NVIDIA and text(device / "class").startswith(_DISPLAY):
            # The driver, if loaded, knows the model: `Model:           NVIDIA GeForce RTX 3060`.
            lines = text(root / "proc/driver/nvidia/gpus" / device.name / "information").splitlines()
            model = next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), "")
            yield Accelerator(model or "NVIDIA GPU", f"PCI {device.name}")


def _usb(root: Path) -> Iterator[Accelerator]:
    for device in sorted((root / "sys/bus/usb/devices").glob("*")):
        name = _USB.get((text(device / "idVendor"), text(device / "idProduct")))
        if name:
            yield Accelerator(name, f"USB {device.name}")


def _tegra(root: Path) -> Iterator[Accelerator]:
    """A Jetson's GPU is on no bus; its driver's device node shows that it is there."""
    for node in ("dev/nvhost-gpu", "dev/nvgpu"):
        if (root / node).exists():
            yield Accelerator("NVIDIA GPU of the SoC", f"/{node}")
            return
