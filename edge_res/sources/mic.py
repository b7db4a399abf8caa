"""A microphone, by PortAudio."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edge_res.errors import MicrophoneError, SourceError
from edge_res.flow import Block, Samples
from edge_res.ring import Ring
from edge_res.sources import Wanted

STALL_S = 5.0  # without a callback, after which a microphone counts as stopped
CLOSE_S = 2.0  # that closing may take: with a frozen sound server even abort() blocks


@dataclass(frozen=True)
class Device:
    """An input of PortAudio's list."""

    index: int
    name: str
    channels: int
    rate_hz: int  # its default

    def __str__(self) -> str:
        return f"{self.index} {self.name!r}"


class Microphone:
    """`mic:`, the default input, or `mic:NAME-PART`, the one whose name holds that text, or whose index it is.

    Opens at the given or the model's rate, or where the device refuses that, at its own: see `rate_hz`. The audio
    callback copies into a ring of `buffer_s`; blocks are views of it, of at most four times the preferred length. Audio
    that finds the ring full is dropped, and told as `lost` where it is missing. What the driver dropped before is told
    as well, at a length estimated from the times it gives for the first sample of each callback, and at least 1.

    Never idles: iteration raises `SourceError` when the microphone stops, or has delivered nothing for 5 seconds.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = 8.0) -> None:
        self._portaudio = _import_portaudio()
        self.name = text
        self.unit = ""
        self.channels = want.given_channels or want.channels
        device = choose_device(text.removeprefix("mic:"), *_list_inputs(self._portaudio))
        if device.channels < self.channels:
            raise MicrophoneError(
                f"The microphone {device} has {device.channels} channels and {self.channels} are asked for; "
                "choose another with mic:NAME."
            )
        rates_hz = [want.given_rate_hz] if want.given_rate_hz else [want.rate_hz, device.rate_hz]
        self._stream = self._open(device, rates_hz)
        self.rate_hz = round(self._stream.samplerate)
        capacity = max(1, round(buffer_s * self.rate_hz))
        self._ring = Ring(capacity, self.channels, min(capacity, 4 * want.block_length(self.rate_hz)))
        self._expected_s: float | None = None  # ADC time of the next sample
        self._finished = False
        # A lock used as a binary semaphore: the callback releases it and never waits, the reader acquires it. An
        # Event's or Condition's lock would be held by the reader now and then, and the callback would wait for it.
        self._news = threading.Lock()
        self._news.acquire()

    def __enter__(self) -> Microphone:
        try:
            self._stream.start()
        except self._portaudio.PortAudioError as error:
            raise MicrophoneError(f"The microphone {self.name} does not start ({_reason(error)}).") from None
        return self

    def __exit__(self, *exception: object) -> None:
        closing = threading.Thread(target=self._close, name="close microphone", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():  # then the end of the process must not wait for PortAudio either
            atexit.unregister(self._portaudio._exit_handler)

    def __iter__(self) -> Iterator[Block]:
        ring, lost = self._ring, 0
        while True:
            finished = self._finished  # asked first: then all that came before the end is seen below
            lost += ring.take_lost()
            if n := min(ring.available, ring.longest_view):
                yield Block(self.name, ring.at, ring.view(n), lost)
                ring.advance(n)
                lost = 0
            elif finished:
                what = "stopped"
                break
            elif not self._news.acquire(timeout=STALL_S):
                what = f"has delivered nothing for {STALL_S:.0f} s"
                break
        lost += ring.take_unmarked_lost()
        if lost:
            yield Block(self.name, ring.at, ring.view(0), lost)
        raise SourceError(
            f"The microphone {self.name} {what}, {ring.at / self.rate_hz:.1f} s after it began; "
            "check that it is plugged in and that the sound server runs."
        )

    def _open(self, device: Device, rates_hz: Sequence[int]) -> Any:
        rate_hz, *others = rates_hz
        try:
            return self._portaudio.InputStream(
                rate_hz,
                device=device.index,
                channels=self.channels,
                dtype="float32",
                callback=self._receive,
                finished_callback=self._finish,
            )
        except self._portaudio.PortAudioError as error:
            if others:
                return self._open(device, others)
            raise MicrophoneError(
                f"The microphone {device} cannot be opened at {rate_hz} Hz ({_reason(error)}); "
                "check that nothing else uses it, or choose another with mic:NAME."
            ) from None

    def _receive(self, samples: Samples, count: int, times: Any, status: Any) -> None:
        """In PortAudio's thread: one copy, nothing that waits."""
        began_s = times.inputBufferAdcTime
        if status.input_overflow:
            missing_s = 0.0 if self._expected_s is None else began_s - self._expected_s
            self._ring.lose(max(1, round(missing_s * self.rate_hz)))
        self._ring.write(samples)
        self._expected_s = began_s + count / self.rate_hz
        self._wake()

    def _finish(self) -> None:
        """In PortAudio's thread: no callback follows."""
        self._finished = True
        self._wake()

    def _wake(self) -> None:
        if self._news.locked():
            self._news.release()

    def _close(self) -> None:
        with suppress(self._portaudio.PortAudioError):
            self._stream.abort()  # not stop(), which waits for what is on its way
        with suppress(self._portaudio.PortAudioError):
            self._stream.close()


def choose_device(wanted: str, devices: Sequence[Device], default: int) -> Device:
    """The input that `wanted` means: its index, its name, a part of its name in any case, or "" for the default.

    Raises `MicrophoneError` where that is none or more than one, and names those that could be meant.
    """
    if not devices:
        raise MicrophoneError("There is no microphone; plug one in, and see `arecord -l` for what the system knows.")
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
    if not found:
        raise MicrophoneError(f"{problem}.")
    if len(found) > 1:
        candidates = ", ".join(map(str, found))
        raise MicrophoneError(
            f"More than one microphone is called {wanted!r}: {candidates}; give a longer part or the index."
        )
    return found[0]


def _import_portaudio() -> Any:
    try:
        import sounddevice
    except OSError:
        raise MicrophoneError(
            "A microphone needs the PortAudio library, which is missing; install it with "
            "`sudo apt install libportaudio2`."
        ) from None
    return sounddevice


def _list_inputs(portaudio: Any) -> tuple[list[Device], int]:
    """All inputs, and the index of the default one, -1 where there is none."""
    devices = [
        Device(index, found["name"], found["max_input_channels"], round(found["default_samplerate"]))
        for index, found in enumerate(portaudio.query_devices())
        if found["max_input_channels"] > 0
    ]
    try:
        return devices, portaudio.query_devices(kind="input")["index"]
    except portaudio.PortAudioError:
        return devices, -1


def _reason(error: Exception) -> str:
    return str(error.args[0]).strip(" .")
