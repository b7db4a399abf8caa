"""What a machine calls itself.

The device tree's root node has a `model`, one text, and a `compatible`, texts from the most particular to the most
general (Devicetree Specification 0.4, 2.3). Linux shows them under `/proc/device-tree`, each text ended by a zero byte.
A PC has DMI instead, under `/sys/class/dmi/id`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.files import text


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
