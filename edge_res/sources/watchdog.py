"""The states of a live source: healthy → alarmed → recovering → healthy again, or failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Literal

from edge_res.flow import Health

State = Literal["healthy", "alarmed", "recovering", "failed"]


class Watchdog:
    """Follows the state of the live source `name`; each method yields a `Health` when the state changes.

    `alarm_s` without a sample is an alarm. After `give_up_s` without a sample, `given_up` is true (None: never). The
    source itself reports that it tries to recover. `clock` returns seconds that never go back.
    """

    def __init__(
        self, name: str, alarm_s: float, give_up_s: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.state: State = "healthy"
        self._name = name
        self._alarm_s = alarm_s
        self._give_up_s = give_up_s
        self._clock = clock
        self._fed_s = clock()

    @property
    def starved_s(self) -> float:
        """Seconds since the last sample."""
        return self._clock() - self._fed_s

    @property
    def given_up(self) -> bool:
        return self._give_up_s is not None and self.starved_s > self._give_up_s

    def fed(self, at_s: float) -> Iterator[Health]:
        """Samples have arrived."""
        starved_s, self._fed_s = self.starved_s, self._clock()
        if self.state != "healthy":
            yield from self._enter("healthy", f"samples arrive again after {starved_s:.1f} s", at_s)

    def waited(self, at_s: float) -> Iterator[Health]:
        """No sample has arrived."""
        if self.state == "healthy" and self.starved_s > self._alarm_s:
            yield from self._enter("alarmed", f"no sample for {self.starved_s:.1f} s", at_s)

    def recovering(self, reason: str, at_s: float) -> Iterator[Health]:
        """The source begins to recover, for this reason; further tries are not reported."""
        if self.state != "recovering":
            yield from self._enter("recovering", reason, at_s)

    def _enter(self, state: State, reason: str, at_s: float) -> Iterator[Health]:
        self.state = state
        yield Health(self._name, state, reason, at_s)
