"""What could compute beside the cores, by the numbers that PCI and USB know it by. edge-res itself uses none of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.files import text

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
