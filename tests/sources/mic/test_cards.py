"""Sound cards, on trees as Linux makes them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edge_res.sources.mic.cards import Card, _field, read_cards, why_not

RUNNING = """state: RUNNING
owner_pid   : 4711
trigger_time: 1234.567890123
tstamp      : 0.000000000
delay       : 96
avail       : 96
avail_max   : 256
-----
hw_ptr      : 1824
appl_ptr    : 1728
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A board's own card, and two USB microphones of one kind, in two ports of a hub."""
    cards = [(0, "PCH", "", ""), (1, "Device", "0d8c:0014", "1-1.2"), (2, "Device_1", "0d8c:0014", "1-1.3")]
    for number, name, usb, port in cards:
        proc = tmp_path / f"proc/asound/card{number}"
        capture = proc / "pcm0c/sub0"
        capture.mkdir(parents=True)
        (proc / "id").write_text(f"{name}\n")
        (capture / "status").write_text("closed\n")
        path = f"usb1/1-1/{port}/{port}:1.0" if usb else "pci0000:00/0000:00:1f.3"
        device = tmp_path / "sys/devices" / path
        (device / f"sound/card{number}").mkdir(parents=True)
        (device / f"sound/card{number}/device").symlink_to("../..")
        classes = tmp_path / "sys/class/sound"
        classes.mkdir(parents=True, exist_ok=True)
        (classes / f"card{number}").symlink_to(device / f"sound/card{number}")
        if usb:
            (proc / "usbid").write_text(f"{usb}\n")
        (tmp_path / "dev/snd").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"dev/snd/pcmC{number}D0c").touch()
    return tmp_path


def test_cards_are_known_by_id_kind_and_port(root: Path) -> None:
    onboard, first, second = read_cards(root)
    assert onboard == Card(0, "PCH")
    assert first == Card(1, "Device", "usb-0d8c_0014", "usb-1-1.2")
    assert second == Card(2, "Device_1", "usb-0d8c_0014", "usb-1-1.3")
    assert [card.number for card in read_cards(root) if card.is_called("USB-0d8c_0014")] == [1, 2]
    assert [card.number for card in read_cards(root) if card.is_called("device_1")] == [2]
    assert [card.number for card in read_cards(root) if card.is_called("usb-1-1.3")] == [2]
    assert [card.number for card in read_cards(root) if card.is_called("")] == []


def test_a_card_that_comes_back_may_have_another_number_and_id() -> None:
    before = Card(1, "Device", "usb-0d8c_0014", "usb-1-1.2")
    assert before.is_same(Card(3, "Device_1", "usb-0d8c_0014", "usb-1-1.4"))
    assert not before.is_same(Card(1, "Device", "usb-08bb_2902", "usb-1-1.2"))
    assert Card(0, "PCH").is_same(Card(1, "PCH"))
    assert not Card(0, "PCH").is_same(Card(0, "HDMI"))


def test_no_cards(tmp_path: Path) -> None:
    assert read_cards(tmp_path) == []
    assert why_not(None, tmp_path) is None


def test_the_program_that_holds_a_card_is_named(root: Path) -> None:
    onboard, first, _ = read_cards(root)
    (root / "proc/asound/card1/pcm0c/sub0/status").write_text(RUNNING)
    (root / "proc/4711").mkdir()
    (root / "proc/4711/comm").write_text("arecord\n")
    said = "it is in use by arecord (process 4711); stop that first"
    assert why_not(first, root) == said
    assert why_not(None, root) == "the card Device is in use by arecord (process 4711); stop that first"
    assert why_not(onboard, root) is None
    (root / "proc/4711/comm").unlink()
    assert why_not(first, root) == "it is in use by another program (process 4711); stop that first"


def test_the_process_is_named_instead_of_the_thread_that_opened_the_card(root: Path) -> None:
    _, first, _ = read_cards(root)
    capture = root / "proc/asound/card1/pcm0c/sub0/status"
    capture.write_text(RUNNING)
    for number, name, process in (("4711", "source-USB", 4700), ("4700", "pulseaudio", 4700)):
        (root / "proc" / number).mkdir()
        (root / "proc" / number / "comm").write_text(f"{name}\n")
        (root / "proc" / number / "status").write_text(f"Name:\t{name}\nTgid:\t{process}\nPid:\t{number}\n")
    assert why_not(first, root) == "it is in use by pulseaudio (process 4700); stop that first"
    (root / "proc/4711/status").write_text(f"Name:\tPortAudio\nTgid:\t{os.getpid()}\nPid:\t4711\n")
    assert why_not(first, root) == "it is in use by this program, under another name; stop that first"
    assert why_not(None, root) is None


def test_linux_reports_the_process_of_a_thread() -> None:
    told: list[str] = []

    def look() -> None:
        told.append(_field(Path(f"/proc/{threading.get_native_id()}/status"), "Tgid"))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert told == [str(os.getpid())]


def test_missing_permission_is_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = root / "dev/snd/pcmC1D0c"
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed)  # the superuser may always
    monkeypatch.setattr("edge_res.sources.mic.cards.way_in", lambda path: f"see who may open {path}")
    onboard, first, _ = read_cards(root)
    assert why_not(first, root) == why_not(None, root)
    assert why_not(first, root) == f"pcmC1D0c cannot be opened: permission denied; see who may open {closed}"
    assert why_not(onboard, root) is None
