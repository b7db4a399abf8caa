"""The sound cards that Linux lists: their stable names, and why one cannot be opened."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.access import way_in

_OURSELVES = "this program, under another name"


@dataclass(frozen=True)
class Card:
    """A card of ALSA. Its number may change each time it is plugged in; its names do not."""

    number: int
    id: str  # ALSA's, such as Device; a second card of the same kind is Device_1
    usb: str = ""  # vendor and product, such as usb-0d8c_0014
    port: str = ""  # where it is plugged in, such as usb-1-1.2

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.id, self.usb, self.port)))

    def is_called(self, name: str) -> bool:
        return name != "" and name.casefold() in (self.id.casefold(), self.usb, self.port)

    def is_same(self, other: Card) -> bool:
        """Whether this may be the other card, unplugged and plugged in again, perhaps elsewhere."""
        return self.usb == other.usb and (bool(self.usb) or self.id == other.id)


def read_cards(root: Path = Path("/")) -> list[Card]:
    """All cards, from /proc/asound and /sys."""
    return [_read_card(path, root) for path in sorted((root / "proc/asound").glob("card[0-9]*"))]


def _read_card(path: Path, root: Path) -> Card:
    number = int(path.name.removeprefix("card"))
    usb = _text(path / "usbid")
    # The interface of the USB device, such as 1-1.2:1.0
    interface = (root / "sys/class/sound" / path.name / "device").resolve().name
    return Card(
        number,
        _text(path / "id"),
        f"usb-{usb.replace(':', '_')}" if usb else "",
        f"usb-{interface.partition(':')[0]}" if usb and ":" in interface else "",
    )


def why_not(card: Card | None, root: Path = Path("/")) -> str | None:
    """Why this card, or any card if None, cannot be recorded from, to end a sentence; None: unknown."""
    number = "*" if card is None else str(card.number)
    for node in sorted((root / "dev/snd").glob(f"pcmC{number}D*c")):
        if not os.access(node, os.R_OK | os.W_OK):
            return f"{node.name} cannot be opened: permission denied; {way_in(str(node))}"
    held = {
        (_text(status.parents[2] / "id"), holder)
        for status in (root / "proc/asound").glob(f"card{number}/pcm*c/sub*/status")
        if (holder := _holder(status, root)) and (card or holder != _OURSELVES)
    }
    if held:
        uses = (f"{'it' if card else f'the card {name}'} is in use by {holder}" for name, holder in sorted(held))
        return f"{' and '.join(uses)}; stop that first"
    return None


def _holder(status: Path, root: Path) -> str | None:
    """`NAME (process PID)` of the process that records from the device with this status file."""
    if not (thread := _field(status, "owner_pid")):
        return None
    process = _field(root / "proc" / thread / "status", "Tgid") or thread
    if process == str(os.getpid()):
        return _OURSELVES
    return f"{_text(root / 'proc' / process / 'comm') or 'another program'} (process {process})"


def _field(path: Path, name: str) -> str:
    """The value of `name` in a file with lines such as `name : value`."""
    found = (line.partition(":") for line in _text(path).splitlines())
    return next((value.strip() for key, _, value in found if key.strip() == name), "")


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip()
    return ""
