"""How many samples are missing in a live stream: by sequence numbers, and where these do not tell, by the clock."""

from __future__ import annotations

import logging

from edge_res.errors import SignalError
from edge_res.sources.framing import NUMBERS

_SLACK_S = 10.0  # what buffers on the way can hold
_DOUBT_S = 0.5  # the same, where another may be sending than before


def lost_by_clock(elapsed_s: float, rate_hz: float, came: int) -> int:
    """Samples that are missing of `elapsed_s`, of which `came` samples have come."""
    return max(0, round(elapsed_s * rate_hz) - came)


class Sequence:
    """Of a stream in pieces, each numbered by its first sample modulo `NUMBERS`: how many samples lie between.

    A number that cannot be what the time since the last piece allows is a new beginning, as after the reset of a board:
    how many samples are missing there is told by the clock, at least 1, since the old stream does not go on in the new.
    `slack_s` is by how much a number may lead or lag the clock: what can be held on the way.
    """

    def __init__(self, name: str, rate_hz: float, slack_s: float = _SLACK_S) -> None:
        self._name = name
        self._rate_hz = rate_hz
        self._slack_s = slack_s
        self._last: tuple[int, int, float] | None = None  # number, count and second of the last piece
        self._doubtful = False

    def doubt(self) -> None:
        """What comes next may be another stream: it goes on with the last one only if the clock agrees well."""
        self._doubtful = True

    def lost_before(self, number: int, count: int, now_s: float) -> int:
        """Samples lost directly before a piece of `count` samples that came at `now_s`; before the first one, 0.

        Raises `SignalError` where pieces overlap, as those of a sender do that numbers its frames.
        """
        last, self._last = self._last, (number, count, now_s)
        doubtful, self._doubtful = self._doubtful, False
        if last is None:
            return 0
        step, elapsed_s = (number - last[0]) % NUMBERS, now_s - last[2]
        if 0 < step < last[1] and not doubtful:
            raise SignalError(
                f"{self._name} sends frames that overlap: one of {last[1]} samples has the number {last[0]}, and the "
                f"next one {number}; a frame must have the number of its first sample."
            )
        missing = (step - last[1]) % NUMBERS
        slack_s = _DOUBT_S if doubtful else self._slack_s + elapsed_s / 10
        if (missing == 0 and not doubtful) or abs((missing + count) / self._rate_hz - elapsed_s) <= slack_s:
            return missing
        lost = max(1, lost_by_clock(elapsed_s, self._rate_hz, count))
        logging.getLogger("edge_res").warning(
            "%s has begun anew, with number %d after %d; by the clock %d samples are missing in between.",
            self._name, number, last[0] + last[1] - 1, lost,
        )  # fmt: skip
        return lost
