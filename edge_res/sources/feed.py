"""Between the thread that receives the samples of a live source and the loop that asks for them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from time import monotonic

import numpy as np

from edge_res.errors import ConfigError, EdgeResError, SourceError
from edge_res.flow import Block, Health, Samples
from edge_res.signal.ring import Ring
from edge_res.sources import TICK_S, Wanted
from edge_res.sources.clock import CaptureClock
from edge_res.sources.watchdog import Watchdog

BUFFER_S = 8.0  # what the loop may be late without a loss
_GAPS = 4096  # and with how many before it: 5 % of 10,000 frames a second
_ROOM_S = 0.01
_RETRY_S = 0.25  # between tries to open a device again
_JOIN_S = 1.0  # that a thread may take to end; one that waits for a network ends by itself


class Feed:
    """A ring that a thread fills with `put`, and whose blocks and states iteration gives, as a `Source` does.

    The thread runs the `work` that `start` is given until `stopping` is set; an error that it raises is raised by the
    iteration, behind the samples that came before it. Without samples for `alarm_s` the source is alarmed; while `lost`
    gives a reason why none can come, it is recovering; `give_up_s` after the last sample, iteration raises
    `SourceError`.
    """

    def __init__(
        self, name: str, rate_hz: int, channels: int, want: Wanted, alarm_s: float, buffer_s: float = BUFFER_S
    ) -> None:
        self.stopping = threading.Event()
        self._name = name
        self._rate_hz = rate_hz
        self._alarm_s = alarm_s
        self._give_up_s = want.give_up_s
        block = want.block_length(rate_hz)
        self._ring = Ring(max(round(buffer_s * rate_hz), 2 * block), channels, block, _GAPS)
        self._clock = CaptureClock(rate_hz)
        self._news = threading.Event()
        self._trouble = ""
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    # the thread's side

    def put(self, samples: Samples, lost: int = 0, patience_s: float = 0.0) -> None:
        """Samples have come, float32 `(n, channels)`, and before them `lost` have not. NaN and infinity are losses.

        A sender that can be made to wait does so, for `patience_s`, until there is room.
        """
        until_s = monotonic() + patience_s
        if lost:
            self._ring.lose(lost)
        finite = np.isfinite(samples).all(axis=1)
        for run in np.split(samples, np.flatnonzero(np.diff(finite)) + 1):
            if np.isfinite(run).all():
                self._write(run, until_s)
            else:
                self._ring.lose(len(run))
        self._clock.came(self._ring.end)
        if finite.any():
            self._trouble = ""
        self._news.set()

    def _write(self, samples: Samples, until_s: float) -> None:
        while len(samples) > (room := self._ring.room) and monotonic() < until_s and not self.stopping.wait(_ROOM_S):
            self._ring.write(samples[:room])  # they may be more than it ever holds
            samples = samples[room:]
            self._news.set()
        self._ring.write(samples)

    def trouble(self, reason: str) -> None:
        """No sample can come, for this reason; until the next one does, the source is recovering."""
        self._trouble = reason
        self._news.set()

    def read_again_and_again(self, read: Callable[[], None], gone: Callable[[], None]) -> None:
        """Work for `start`: `read` opens a device, unless it is open, and puts in what it delivers until `stopping`.

        What `read` raises is why it does not open, a `SourceError` or `ConfigError`, which is told where that is more
        than being away; or it is another `OSError`, of a device that is gone: `gone` is called, to close it.
        """
        logged = ""
        while not self.stopping.is_set():
            try:
                read()
            except (SourceError, ConfigError) as error:
                reason = str(error)
                if reason != logged and not reason.startswith("There is no "):
                    logging.getLogger("edge_res").warning("%s", reason)
                logged = reason
                self.trouble(reason.rstrip("."))
            except OSError as error:
                gone()
                why = f" ({error.strerror})" if error.strerror else ""
                self.trouble(f"{self._name} is gone{why}; it is opened again when it is back")
            self.stopping.wait(_RETRY_S)

    # the loop's side

    def start(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=self._run, args=(work,), name=f"receive {self._name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def __iter__(self) -> Iterator[Block | Health]:
        ring, lost = self._ring, 0
        dog = Watchdog(self._name, self._alarm_s, self._give_up_s)
        while True:
            self._news.clear()
            error, trouble = self._error, self._trouble  # before the ring: what came before them is seen below
            lost += ring.take_lost()
            at_s = ring.at / self._rate_hz
            if n := min(ring.available, ring.longest_view):
                yield from dog.fed(at_s)
                yield Block(self._name, ring.at, ring.view(n), lost, time_us=self._clock.time_us(ring.at))
                ring.advance(n)
                lost = 0
                continue
            if error is None and not dog.given_up:
                yield from dog.recovering(trouble, at_s) if trouble else dog.waited(at_s)
                self._news.wait(TICK_S)
                yield Block(self._name, ring.at, ring.view(0))
                continue
            lost += ring.take_unmarked_lost()
            if lost:
                yield Block(self._name, ring.at, ring.view(0), lost)
            raise error or self._silence(dog.starved_s, trouble)

    def _silence(self, starved_s: float, trouble: str) -> SourceError:
        why = trouble or "check that it sends, and what"
        return SourceError(f"{self._name} has delivered no sample for {starved_s:.1f} s and is given up: {why}.")

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except EdgeResError as error:
            self._error = error
        except BaseException as fault:  # a fault of ours must not look like a silent sensor
            self._error = fault
        self._news.set()
