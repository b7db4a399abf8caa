"""PortAudio, by sounddevice: its inputs, their streams, and calls of it that may never return."""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge_res.errors import MicrophoneError
from edge_res.sources.mic.cards import Card, read_cards, why_not

_NOT_STARTED = "PortAudio does not start; check the sound server, and ALSA's files ~/.asoundrc and /etc/asound.conf."


@dataclass(frozen=True)
class Device:
    """An input of PortAudio's list."""

    index: int
    name: str
    channels: int
    rate_hz: int  # its default
    card: Card | None = None  # None: a sound server's, or another that is no card
    is_jack: bool = False

    def __str__(self) -> str:
        return f"{self.index} {self.name!r}" + (f" ({self.card})" if self.card else "")

    def is_same(self, other: Device) -> bool:
        """Whether this may be the other, come back under whatever index and card number."""
        if self.card is None or other.card is None:
            return self.name == other.name
        return self.card.is_same(other.card) and _without_card(self.name) == _without_card(other.name)


def choose_device(wanted: str, devices: Sequence[Device], default: int, root: Path = Path("/")) -> Device:
    """The input that `wanted` means: its index, its card, its name, a part of its name in any case, or "", the default.

    A card is meant by its id, by `usb-VENDOR_PRODUCT` or by the port it is plugged in, `usb-BUS-PORT`. Raises
    `MicrophoneError` where that is none or more than one, and names those that could be meant.
    """
    listed = ", ".join(map(str, devices))
    if not wanted:
        found = [device for device in devices if device.index == default]
        problem = f"There is no default microphone; choose one of {listed} with mic:NAME"
    elif wanted.isdecimal():
        found = [device for device in devices if device.index == int(wanted)]
        problem = f"There is no microphone {wanted}; there are {listed}"
    else:
        part = wanted.casefold()
        found = [device for device in devices if part in device.name.casefold()]
        problem = f"There is no microphone {wanted!r}; there are {listed}"
        found = [device for device in found if device.name.casefold() == part] or found
        found = [device for device in devices if device.card and device.card.is_called(wanted)] or found
    if not devices:
        problem = "There is no microphone; plug one in, and see `arecord -l` for what the system knows"
    if not found:
        # A card that is in use, or that we may not open, is not among PortAudio's inputs.
        reason = why_not(next((card for card in read_cards(root) if card.is_called(wanted)), None), root)
        raise MicrophoneError(f"{problem}." if reason is None else f"{problem}; {reason}.")
    if len(found) > 1:
        candidates = ", ".join(map(str, found))
        raise MicrophoneError(
            f"More than one microphone is called {wanted!r}: {candidates}; give a longer part, the port or the index."
        )
    return found[0]


def find_again(before: Device, wanted: str, devices: Sequence[Device], root: Path = Path("/")) -> Device:
    """The input that was `before`, which `wanted` had meant, in a new list; raises `MicrophoneError` if it is not."""
    found = [device for device in devices if device.is_same(before)]
    if before.card and before.card.port:
        there = [device for device in found if device.card and device.card.port == before.card.port]
        found = there if wanted.casefold() == before.card.port else there or found
    if not found:
        card = next((card for card in read_cards(root) if before.card and card.is_same(before.card)), None)
        reason = why_not(card, root) if card else None
        raise MicrophoneError(
            f"{before} is not there; {reason or 'see that it is plugged in and the sound server runs'}."
        )
    return found[0]


class Call:
    """Runs `work` in a daemon thread: a call of PortAudio blocks for as long as a sound server hangs."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="PortAudio", daemon=True)
        self._thread.start()

    def done(self, within_s: float = 0.0) -> bool:
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what the work has raised."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._error = error


class PortAudio:
    """What the microphones of a process share, as PortAudio is initialised once for all and knows no threads.

    Each method waits until no other thread is in one, so all but `forget` may block for ever, see `Call`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams = 0  # open ones
        self._cards: list[Card] | None = None  # when it was initialised
        self._runs = True  # sounddevice initialises it
        self.hangs = False  # a call has not returned in time: none that follows need be waited for

    def inputs(self, again: bool = False) -> tuple[list[Device], int]:
        """All inputs, and the index of the default one, -1 where there is none.

        PortAudio lists what was there when it was initialised. That is done again where other cards are there now, or
        `again` is asked for, and no stream is open. It costs: ALSA loads all its plugins, and some of them leak.
        """
        with self._alone() as sounddevice:
            cards = read_cards()
            # Not by sounddevice, which for as long as it takes sends file descriptor 2 to /dev/null.
            if self._runs and not self._streams and self._cards is not None and (again or cards != self._cards):
                sounddevice._lib.Pa_Terminate()
                self._runs, self._cards = False, None
            if not self._runs:
                if sounddevice._lib.Pa_Initialize() != 0:
                    self.forget()
                    raise MicrophoneError(_NOT_STARTED)
                self._runs = True
            if self._cards is None:
                self._cards = cards
            known = {card.number: card for card in self._cards}
            devices = [
                Device(
                    index,
                    found["name"],
                    found["max_input_channels"],
                    round(found["default_samplerate"]),
                    known.get(_card_number(found["name"])),
                    "JACK" in sounddevice.query_hostapis(found["hostapi"])["name"],
                )
                for index, found in enumerate(sounddevice.query_devices())
                if found["max_input_channels"] > 0
            ]
            devices = [device for device in devices if device.card is None or device.card in cards]
            try:
                return devices, sounddevice.query_devices(kind="input")["index"]
            except sounddevice.PortAudioError:
                return devices, -1

    def open(
        self,
        device: Device,
        rates_hz: Sequence[int],
        channels: int,
        receive: Callable[..., None],
        end: Callable[[], None],
    ) -> Any:
        """A stream of float32 at the first rate that the device takes; `receive` and `end` are its callbacks."""
        rate_hz, *others = rates_hz
        with self._alone() as sounddevice:
            try:
                stream = sounddevice.InputStream(
                    rate_hz,
                    device=device.index,
                    channels=channels,
                    dtype="float32",
                    callback=receive,
                    finished_callback=end,
                )
            except sounddevice.PortAudioError as error:
                problem = f"The microphone {device} cannot be opened at {rate_hz} Hz ({_reason(error)})"
            else:
                self._streams += 1
                return stream
        if others:
            return self.open(device, others, channels, receive, end)
        reason = why_not(device.card) if device.card else None
        raise MicrophoneError(
            f"{problem}; {reason or 'check that nothing else uses it, or choose another with mic:NAME'}."
        )

    def start(self, stream: Any, name: str) -> None:
        with self._alone() as sounddevice:
            try:
                stream.start()
            except sounddevice.PortAudioError as error:
                raise MicrophoneError(f"The microphone {name} does not start ({_reason(error)}).") from None

    def close(self, stream: Any) -> None:
        with self._alone():
            stream.abort()  # not stop(), which waits for what is on its way
            stream.close()
            self._streams -= 1

    def forget(self) -> None:
        """Where a call hangs, the end of the process must not wait for PortAudio either."""
        self.hangs = True
        _restore_stderr()
        if handler := getattr(sys.modules.get("sounddevice"), "_exit_handler", None):
            atexit.unregister(handler)

    @contextmanager
    def _alone(self) -> Iterator[Any]:
        """The package, for this thread only."""
        with self._lock:
            _silence()
            yield _import_sounddevice()


PORTAUDIO = PortAudio()  # as sounddevice itself: one a process


@cache
def _silence() -> None:
    """From now on, swallow what PortAudio and ALSA print of what is not there, or is there no more.

    It is C's `stderr` that leads to nowhere, not file descriptor 2: others have something to say there. They print from
    threads of their own too, so it stays that way.
    """
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    ctypes.c_void_p.in_dll(libc, "stderr").value = libc.fopen(b"/dev/null", b"w")


@cache
def _stderr() -> int:
    """A copy of file descriptor 2, which sounddevice sends to /dev/null for as long as its import takes; -1: closed."""
    try:
        return os.dup(2)
    except OSError:
        return -1


def _restore_stderr() -> None:
    """Where the import hangs, what we have to say of that must not go to /dev/null."""
    if _stderr() >= 0:
        os.dup2(_stderr(), 2)


def _import_sounddevice() -> Any:
    _stderr()
    try:
        import sounddevice
    except OSError:
        raise MicrophoneError(
            "A microphone needs the PortAudio library, which is missing; install it with "
            "`sudo apt install libportaudio2`."
        ) from None
    except ImportError:
        raise
    except Exception:  # its PortAudioError, which cannot be imported either
        raise MicrophoneError(_NOT_STARTED) from None
    return sounddevice


def _card_number(name: str) -> int:
    """Of ALSA's card in a name such as `USB PnP: Audio (hw:1,0)`, else -1."""
    found = re.search(r"\(hw:(\d+),\d+\)$", name)
    return int(found[1]) if found else -1


def _without_card(name: str) -> str:
    return re.sub(r"\(hw:\d+,", "(hw:,", name)


def _reason(error: Exception) -> str:
    return str(error.args[0]).strip(" .")
