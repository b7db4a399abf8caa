"""A microphone, by PortAudio."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from itertools import count
from math import inf
from time import monotonic
from typing import Any

from edge_res.errors import MicrophoneError, SourceError
from edge_res.flow import Block, Health, Samples
from edge_res.signal.ring import Ring
from edge_res.sources import TICK_S, Wanted
from edge_res.sources.clock import wall_us
from edge_res.sources.mic.cards import read_cards
from edge_res.sources.mic.continuity import Continuity, Loss, Pace
from edge_res.sources.mic.portaudio import PORTAUDIO, Call, Device, choose_device, find_again
from edge_res.sources.watchdog import Watchdog

ALARM_S = 0.6  # without a callback
REOPEN_S = 5.0  # without a callback, after which a stream that is still open is opened again
RETRY_S = 0.5  # between tries to open it
OPEN_S = 10.0  # that opening may take at the beginning
CLOSE_S = 1.0  # that closing may take: with a frozen sound server even abort() blocks
_QUIET_TRIES = 5  # whose failure is not logged: mostly it is not there yet
_EAGER_TRIES = 16  # each with a new list of what there is, if need be; later each 16th one
_MOST_CHANNELS = 16  # of a card; a sound server claims more, and makes as many as are wanted from what it has
_CALLBACKS = 8192  # noted at most until the reader comes to look


class Microphone:
    """`mic:`, the default input, or `mic:NAME`: index, card, name or a part of it, see `choose_device`.

    Opens at the given or the model's rate, or where the device refuses that, at its own: see `rate_hz`. The audio
    callback copies into a ring of `buffer_s`; blocks are views of it, of at most four times the preferred length. Audio
    that finds the ring full is dropped and reported as `lost` where it is missing. So is what was dropped before that,
    with the length that the clock shows: see `Continuity`.

    A microphone that stops, or delivers nothing, is opened again, under whatever index it comes back; what it did not
    hear meanwhile is `lost`. Iteration raises `SourceError` only after `give_up_s` without samples, or where JACK ends.
    """

    def __init__(self, text: str, want: Wanted, buffer_s: float = 8.0) -> None:
        self.name = text
        self.unit = ""
        self._wanted = text.removeprefix("mic:")
        self._give_up_s = want.give_up_s
        self._stream: Any = None
        self._left: Any = None
        self._opened_s = 0.0
        self._began_s = inf  # when it was started the first time
        self._finished = False  # no callback follows
        self._broken = False  # the next one does not follow the one before
        self._received = 0  # samples, in all
        self._callbacks: deque[tuple[float, int, int, bool]] = deque(maxlen=_CALLBACKS)
        # A lock used as a binary semaphore: the callback releases it and never waits, the reader acquires it. An
        # Event's or Condition's lock would be held by the reader now and then, and the callback would wait for it.
        self._news = threading.Lock()
        self._news.acquire()
        self._leaving = threading.Event()
        self._trouble = "see that it is not muted or suspended"
        self._call = Call(lambda: self._open(want))
        self._wait()
        capacity = max(1, round(buffer_s * self.rate_hz))
        self._ring = Ring(capacity, self.channels, min(capacity, 4 * want.block_length(self.rate_hz)))
        self._continuity = Continuity(self.rate_hz)
        self._pace = Pace(text, self.rate_hz)

    @property
    def device(self) -> str:
        """Which one it is, as PortAudio and the system name it."""
        return str(self._device)

    def __enter__(self) -> Microphone:
        self._call = Call(lambda: PORTAUDIO.start(self._stream, self.name))
        self._wait()
        self._opened_s = self._began_s = monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        self._leaving.set()
        if self._device.is_jack and (self._finished or self._began_s == inf):
            self._abandon()
        within_s = 0.0 if PORTAUDIO.hangs else CLOSE_S  # with many microphones once for all
        until_s = monotonic() + within_s
        closed = False
        try:
            if self._call.done(within_s):
                self._call = Call(self._close)
                closed = self._call.done(until_s - monotonic())
        finally:  # Ctrl-C may come again
            if not closed:
                PORTAUDIO.forget()

    def __iter__(self) -> Iterator[Block | Health]:
        ring, losses = self._ring, self._continuity.losses
        dog = Watchdog(self.name, ALARM_S, self._give_up_s)
        missing = lost = 0  # samples that never came: in all, and before the next block (with those that did not fit)
        over: SourceError | None = None
        yielded_s = monotonic()
        while True:
            at_s = (ring.at + missing) / self.rate_hz
            if over is None and self._follow():
                yield from dog.fed(at_s)
            lost += ring.take_lost()
            while losses and losses[0].at <= ring.at:
                gone = losses.popleft().lost
                missing += gone
                lost += gone
            sure = losses[0].at if losses else self._continuity.sure
            if n := min(ring.available, ring.longest_view, max(0, sure - ring.at)):
                at = ring.at + missing
                time_us = wall_us(self._continuity.usual_s + at / self.rate_hz)
                yield Block(self.name, at, ring.view(n), lost, time_us=time_us)
                yielded_s = monotonic()
                ring.advance(n)
                lost = 0
                continue
            if over is not None:
                break
            over = self._over(dog, at_s)
            if over is not None:
                self._follow()
                self._continuity.finish(self._received)
                continue  # with what was held until it is sure
            yield from dog.waited(at_s)
            yield from self._mend(dog, at_s)
            if not self._news.acquire(timeout=TICK_S) or monotonic() - yielded_s > TICK_S:
                yield Block(self.name, ring.at + missing, ring.view(0), lost)
                yielded_s = monotonic()
                lost = 0
        self._leaving.set()
        lost += ring.take_unmarked_lost()
        if lost:
            yield Block(self.name, ring.at + missing, ring.view(0), lost)
        raise over

    def _follow(self) -> bool:
        """Look at the callbacks since the last time; whether there were any."""
        came = False
        while self._callbacks:
            came_s, start, end, broken = self._callbacks.popleft()
            if start == 0 and (late_s := came_s - end / self.rate_hz - self._began_s) > ALARM_S:
                self._continuity.losses.append(Loss(0, round(late_s * self.rate_hz)))
            self._continuity.push(came_s, start, end, broken and start > 0)
            for warning in self._pace.push(came_s, end):
                logging.getLogger("edge_res").warning("%s", warning)
            came = True
        return came

    def _over(self, dog: Watchdog, at_s: float) -> SourceError | None:
        """Why it cannot go on, where it cannot."""
        if self._device.is_jack and (self._finished or dog.starved_s > REOPEN_S):
            self._abandon()
            return SourceError(
                f"The microphone {self.name} has lost the JACK server, {at_s:.1f} s after it began, and a program "
                "cannot connect to it a second time; start this one again."
            )
        if dog.given_up:
            return SourceError(
                f"The microphone {self.name} has delivered nothing for {dog.starved_s:.1f} s, {at_s:.1f} s after it "
                f"began, and is given up: {self._trouble}."
            )
        return None

    def _abandon(self) -> None:
        """Leave the stream as it is: without JACK's server even closing hangs, or aborts the process."""
        self._left, self._stream = self._stream, None  # kept, as JACK's thread may yet call back
        PORTAUDIO.forget()

    def _mend(self, dog: Watchdog, at_s: float) -> Iterator[Health]:
        """Open the microphone again, aside, where that is due."""
        if not self._call.done():
            return
        self._call.check()
        if self._finished:
            yield from dog.recovering("it has stopped, and is reopened as soon as it is back", at_s)
        elif min(dog.starved_s, monotonic() - self._opened_s) > REOPEN_S:
            yield from dog.recovering("it is silent, and is opened again", at_s)
        else:
            return
        self._call = Call(self._reopen)

    def _wait(self) -> None:
        """Wait for the call that opens or starts; it hangs where the sound server does."""
        try:
            if not self._call.done(OPEN_S):
                raise MicrophoneError(
                    f"The microphone {self.name} cannot be opened: nothing has answered for {OPEN_S:.0f} s; "
                    "restart the sound server."
                )
        except BaseException:
            PORTAUDIO.forget()
            raise
        self._call.check()

    # in a thread of PortAudio's

    def _receive(self, samples: Samples, length: int, times: Any, status: Any) -> None:
        """One copy, nothing that waits."""
        now_s = monotonic()
        start = self._received
        self._received = end = start + length
        self._ring.write(samples)
        self._callbacks.append((now_s, start, end, self._broken or status.input_overflow))
        self._broken = False
        self._wake()

    def _finish(self) -> None:
        self._finished = True
        self._wake()

    def _wake(self) -> None:
        if self._news.locked():
            self._news.release()

    # in the thread of a call

    def _open(self, want: Wanted) -> None:
        self._device = choose_device(self._wanted, *PORTAUDIO.inputs())
        most = self._device.channels
        self.channels = want.given_channels or want.channels or (most if most <= _MOST_CHANNELS else 2)
        if most < self.channels:
            raise MicrophoneError(
                f"The microphone {self._device} has {most} channels and {self.channels} are asked for; "
                "choose another with mic:NAME."
            )
        rates_hz = [want.given_rate_hz] if want.given_rate_hz else [want.rate_hz, self._device.rate_hz]
        self._stream = PORTAUDIO.open(self._device, rates_hz, self.channels, self._receive, self._finish)
        self.rate_hz = round(self._stream.samplerate)

    def _reopen(self) -> None:
        """Close what is left of the stream, and try until the microphone is there again or listening ends."""
        self._close()
        logged = set()
        for tries in count(1):
            if self._leaving.is_set():
                break
            try:
                device = self._find_again(tries)
                self._finished, self._broken = False, True
                self._stream = PORTAUDIO.open(device, [self.rate_hz], self.channels, self._receive, self._finish)
                PORTAUDIO.start(self._stream, self.name)
                break
            except MicrophoneError as error:
                self._finished = True
                self._trouble = str(error).removesuffix(".")
                if tries > _QUIET_TRIES and self._trouble not in logged:
                    logged.add(self._trouble)
                    logging.getLogger("edge_res").warning("%s is still not back: %s.", self.name, self._trouble)
                self._close()
                self._leaving.wait(RETRY_S)
        self._opened_s = monotonic()

    def _find_again(self, tries: int) -> Device:
        card = self._device.card
        if card is not None and not any(there.is_same(card) for there in read_cards()):
            raise MicrophoneError(f"{self._device} is not there; plug it in.")
        devices, _ = PORTAUDIO.inputs()
        listed = any(device.is_same(self._device) for device in devices)
        if not listed and (tries < _EAGER_TRIES or tries % _EAGER_TRIES == 0):
            devices, _ = PORTAUDIO.inputs(again=True)
        return find_again(self._device, self._wanted, devices)

    def _close(self) -> None:
        if self._stream is not None:
            PORTAUDIO.close(self._stream)
            self._stream = None
