"""PortAudio, with sounddevice: its inputs, their streams, and calls that may never return."""

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

_NOT_STARTED = "PortAudio does not start; check the sound server and ALSA's files ~/.asoundrc and /etc/asound.conf."


@dataclass(frozen=True)
class Device:
    """An input in PortAudio's list."""

    index: int
    name: str
    channels: int
    rate_hz: int  # its default
    card: Card | None = None  # None: an input of a sound server, or another that is not a card
    is_jack: bool = False

    def __str__(self) -> str:
        return f"{self.index} {self.name!r}" + (f" ({self.card})" if self.card else "")

    def is_same(self, other: Device) -> bool:
        """Whether this may be the other device, back under any index and card number."""
        if self.card is None or other.card is None:
            return self.name == other.name
        return self.card.is_same(other.card) and _without_card(self.name) == _without_card(other.name)


def choose_device(wanted: str, devices: Sequence[Device], default: int, root: Path = Path("/")) -> Device:
    """The input that `wanted` names: by index, card, name, part of a name in any case, or "" for the default.

    A card is named by its id, by `usb-VENDOR_PRODUCT` or by the port it is plugged into, `usb-BUS-PORT`. Raises
    `MicrophoneError`, with the candidates, if no input or more than one matches.
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
        problem = "There is no microphone; plug one in, and check that `arecord -l` lists it"
    if not found:
        # A card that is in use, or that this user may not open, is not among PortAudio's inputs.
        reason = why_not(next((card for card in read_cards(root) if card.is_called(wanted)), None), root)
        raise MicrophoneError(f"{problem}." if reason is None else f"{problem}; {reason}.")
    if len(found) > 1:
        candidates = ", ".join(map(str, found))
        raise MicrophoneError(
            f"More than one microphone matches {wanted!r}: {candidates}; give a longer part, the port or the index."
        )
    return found[0]


def find_again(before: Device, wanted: str, devices: Sequence[Device], root: Path = Path("/")) -> Device:
    """The input that was `before`, found as `wanted`, in a new list; raises `MicrophoneError` if it is not there."""
    found = [device for device in devices if device.is_same(before)]
    if before.card and before.card.port:
        there = [device for device in found if device.card and device.card.port == before.card.port]
        found = there if wanted.casefold() == before.card.port else there or found
    if not found:
        card = next((card for card in read_cards(root) if before.card and card.is_same(before.card)), None)
        reason = why_not(card, root) if card else None
        raise MicrophoneError(
            f"{before} is missing; {reason or 'check that it is plugged in and that the sound server runs'}."
        )
    return found[0]


class Call:
    """Runs `work` in a daemon thread: a call to PortAudio blocks as long as a sound server hangs."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="PortAudio", daemon=True)
        self._thread.start()

    def done(self, within_s: float = 0.0) -> bool:
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what the work raised."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._error = error


class PortAudio:
    """PortAudio for all microphones of a process: it is initialised once and is not thread-safe.

    Only one thread at a time runs a method, so all methods except `forget` may block forever; see `Call`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams = 0  # that are open
        self._cards: list[Card] | None = None  # at initialisation
        self._runs = True  # sounddevice initialises it on import
        self.hangs = False  # a call has not returned in time: do not wait for any other

    def inputs(self, again: bool = False) -> tuple[list[Device], int]:
        """All inputs, and the index of the default one, -1 if there is none.

        PortAudio lists what was present when it was initialised. It is initialised again if the cards have changed, or
        if `again` is set, and no stream is open. That is costly: ALSA loads all its plugins, and some of them leak.
        """
        with self._alone() as sounddevice:
            cards = read_cards()
            # Not through sounddevice, which redirects file descriptor 2 to /dev/null meanwhile.
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
        """A float32 stream at the first rate that the device accepts; `receive` and `end` are its callbacks."""
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
            stream.abort()  # not stop(), which waits for pending samples
            stream.close()
            self._streams -= 1

    def forget(self) -> None:
        """A call hangs: the process must not wait for PortAudio when it exits either."""
        self.hangs = True
        _restore_stderr()
        if handler := getattr(sys.modules.get("sounddevice"), "_exit_handler", None):
            atexit.unregister(handler)

    @contextmanager
    def _alone(self) -> Iterator[Any]:
        """The package, for one thread at a time."""
        with self._lock:
            _silence()
            yield _import_sounddevice()


PORTAUDIO = PortAudio()  # one per process, like sounddevice itself


@cache
def _silence() -> None:
    """From now on, discard what PortAudio and ALSA print about missing devices.

    This redirects C's `stderr` instead of file descriptor 2, which others use. It is permanent, since they also print
    from their own threads.
    """
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    ctypes.c_void_p.in_dll(libc, "stderr").value = libc.fopen(b"/dev/null", b"w")


@cache
def _stderr() -> int:
    """A copy of file descriptor 2, which sounddevice redirects to /dev/null during its import; -1: closed."""
    try:
        return os.dup(2)
    except OSError:
        return -1


def _restore_stderr() -> None:
    """Undo the redirection if the import hangs, so that the error about it is seen."""
    if _stderr() >= 0:
        os.dup2(_stderr(), 2)


def _import_sounddevice() -> Any:
    _stderr()
    try:
        import sounddevice
    except OSError:
        raise MicrophoneError(
            "A microphone requires the PortAudio library, which is missing; install it with "
            "`sudo apt install libportaudio2`."
        ) from None
    except ImportError:
        raise
    except Exception:  # its PortAudioError, which cannot be imported here
        raise MicrophoneError(_NOT_STARTED) from None
    return sounddevice


def _card_number(name: str) -> int:
    """The number of ALSA's card in a name such as `USB PnP: Audio (hw:1,0)`, or -1."""
    found = re.search(r"\(hw:(\d+),\d+\)$", name)
    return int(found[1]) if found else -1


def _without_card(name: str) -> str:
    return re.sub(r"\(hw:\d+,", "(hw:,", name)


def _reason(error: Exception) -> str:
    return str(error.args[0]).strip(" .")
