"""Choosing among PortAudio's inputs, and finding one again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge_res.errors import MicrophoneError
from edge_res.sources.mic.cards import Card
from edge_res.sources.mic.portaudio import Call, Device, PortAudio, choose_device, find_again


def usb(index: int, card: int, port: str, name: str = "USB PnP: Audio") -> Device:
    return Device(
        index, f"{name} (hw:{card},0)", 1, 44100, Card(card, f"Device_{card}", "usb-0d8c_0014", f"usb-{port}")
    )


HDA = Device(0, "HDA Intel: ALC (hw:0,0)", 2, 48000, Card(0, "PCH"))


def test_choosing_among_inputs(tmp_path: Path) -> None:
    devices = [Device(0, "HDA Intel", 2, 48000), Device(2, "USB PnP", 1, 44100), Device(5, "usb pnp 2", 1, 44100)]
    assert choose_device("", devices, 2).index == 2
    assert choose_device("intel", devices, 2).index == 0
    assert choose_device("usb PNP", devices, 0).index == 2  # the whole name of one, though part of another
    assert choose_device("5", devices, 0).index == 5
    with pytest.raises(MicrophoneError, match=r"matches 'Usb': 2 'USB PnP', 5 'usb pnp 2'; give"):
        choose_device("Usb", devices, 0)
    with pytest.raises(MicrophoneError, match=r"no microphone 1; there are 0 'HDA Intel', 2 "):
        choose_device("1", devices, 0, tmp_path)
    with pytest.raises(MicrophoneError, match=r"no default microphone; choose one of 0 "):
        choose_device("", devices, -1, tmp_path)
    with pytest.raises(MicrophoneError, match=r"^There is no microphone; plug one in"):
        choose_device("", [], -1, tmp_path)


def test_a_card_is_chosen_by_what_does_not_change() -> None:
    devices = [HDA, usb(1, 1, "1-1.2"), usb(2, 3, "1-1.3")]
    assert choose_device("usb-1-1.3", devices, 0).index == 2
    assert choose_device("device_1", devices, 0).index == 1
    assert choose_device("PCH", devices, 0).index == 0
    with pytest.raises(MicrophoneError) as told:
        choose_device("usb-0d8c_0014", devices, 0)
    assert str(told.value) == (
        "More than one microphone matches 'usb-0d8c_0014': "
        "1 'USB PnP: Audio (hw:1,0)' (Device_1, usb-0d8c_0014, usb-1-1.2), "
        "2 'USB PnP: Audio (hw:3,0)' (Device_3, usb-0d8c_0014, usb-1-1.3); "
        "give a longer part, the port or the index."
    )


def test_a_microphone_in_use_is_not_listed_but_its_user_is_named(tmp_path: Path) -> None:
    capture = tmp_path / "proc/asound/card1/pcm0c/sub0"
    capture.mkdir(parents=True)
    (tmp_path / "proc/asound/card1/id").write_text("Device\n")
    (capture / "status").write_text("state: RUNNING\nowner_pid   : 4711\n")
    with pytest.raises(MicrophoneError, match=r"'device'; there are 0 .*; it is in use by another program"):
        choose_device("device", [HDA], 0, tmp_path)
    with pytest.raises(MicrophoneError, match=r"^There is no microphone; .* the card Device is in use by"):
        choose_device("", [], -1, tmp_path)


def test_finding_a_microphone_again() -> None:
    before = usb(1, 1, "1-1.2")
    elsewhere = usb(4, 2, "1-1.4")
    assert find_again(before, "usb", [HDA, usb(3, 5, "1-1.2"), elsewhere]).index == 3  # another index and number
    assert find_again(before, "usb", [HDA, elsewhere]).index == 4
    with pytest.raises(MicrophoneError, match="is missing"):
        find_again(before, "usb-1-1.2", [HDA, elsewhere])  # the port was meant
    with pytest.raises(MicrophoneError, match="is missing"):
        find_again(before, "usb", [HDA, usb(1, 1, "1-1.2", "USB PnP: Line")])
    server = Device(0, "pulse", 32, 44100)
    assert find_again(server, "", [HDA, Device(7, "pulse", 32, 44100)]).index == 7
    with pytest.raises(MicrophoneError, match=r"^0 'pulse' is missing; check that"):
        find_again(server, "", [HDA])


def test_the_user_of_a_microphone_that_came_back_is_named(tmp_path: Path) -> None:
    for number, usb_id, pid in ((1, "08bb:2902", 4711), (3, "0d8c:0014", 4712)):
        capture = tmp_path / f"proc/asound/card{number}/pcm0c/sub0"
        capture.mkdir(parents=True)
        (capture / "status").write_text(f"state: RUNNING\nowner_pid   : {pid}\n")
        (tmp_path / f"proc/asound/card{number}/id").write_text("Device\n")
        (tmp_path / f"proc/asound/card{number}/usbid").write_text(f"{usb_id}\n")
    with pytest.raises(MicrophoneError, match=r"is missing; it is in use by another program \(process 4712\)"):
        find_again(usb(1, 1, "1-1.2"), "usb", [HDA], tmp_path)


def test_a_hanging_call_is_abandoned() -> None:
    going_on = threading.Event()

    def hang() -> None:
        going_on.wait(10)

    call = Call(hang)
    assert not call.done()
    assert not call.done(0.01)
    going_on.set()
    assert call.done(5)
    call.check()


def test_what_a_call_raises_is_raised() -> None:
    def fail() -> None:
        raise MicrophoneError("no")

    call = Call(fail)
    assert call.done(5)
    with pytest.raises(MicrophoneError, match=r"^no$"):
        call.check()


class Unwilling:
    """A sounddevice of which PortAudio does not start the first two times that it is asked to again."""

    PortAudioError = ValueError

    def __init__(self) -> None:
        self.runs, self.asked = True, 0
        self._lib = self

    def Pa_Terminate(self) -> int:  # noqa: N802
        self.runs = False
        return 0

    def Pa_Initialize(self) -> int:  # noqa: N802
        self.asked += 1
        self.runs = self.asked > 2
        return 0 if self.runs else -9999

    def query_devices(self, kind: str | None = None) -> list[object]:
        if kind or not self.runs:
            raise ValueError("PortAudio not initialized")
        return []


def test_a_failed_restart_of_portaudio_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    unwilling = Unwilling()
    monkeypatch.setattr("edge_res.sources.mic.portaudio._import_sounddevice", lambda: unwilling)
    portaudio = PortAudio()
    monkeypatch.setattr(portaudio, "forget", lambda: None)
    assert portaudio.inputs() == ([], -1)
    for _ in range(2):
        with pytest.raises(MicrophoneError, match=r"^PortAudio does not start; check the sound server and "):
            portaudio.inputs(again=True)
    assert portaudio.inputs() == ([], -1)
    assert unwilling.asked == 3
