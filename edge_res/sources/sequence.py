"""How many samples are missing in a live stream: by sequence numbers, or by the clock where these do not help."""

from __future__ import annotations

import logging

from edge_res.errors import SignalError
from edge_res.sources.framing import NUMBERS

_SLACK_S = 10.0  # how much buffers on the way can hold
_DOUBT_S = 0.5  # the same, if the sender may have changed


def lost_by_clock(elapsed_s: float, rate_hz: float, came: int) -> int:
    """Samples missing from `elapsed_s`, of which `came` have arrived."""
    return max(0, round(elapsed_s * rate_hz) - came)


class Sequence:
    """Counts the samples lost between pieces, each of which is numbered by its first sample modulo `NUMBERS`.

    A number that does not fit the time since the last piece means that the sender has restarted, as when a board is
    reset. The loss is then estimated by the clock, and is at least 1, since the new stream does not continue the old
    one. `slack_s` is how far a number may lead or lag the clock, because of what can be held on the way.
    """

    def __init__(self, name: str, rate_hz: float, slack_s: float = _SLACK_S) -> None:
        self._name = name
        self._rate_hz = rate_hz
        self._slack_s = slack_s
        self._last: tuple[int, int, float] | None = None  # number, count and second of the last piece
        self._doubtful = False

    def doubt(self) -> None:
        """The next piece may be of another stream: it continues the last one only if the clock agrees closely."""
        self._doubtful = True

    def lost_before(self, number: int, count: int, now_s: float) -> int:
        """Samples lost directly before a piece of `count` samples that arrived at `now_s`; 0 before the first one.

        Raises `SignalError` if pieces overlap, as when a sender numbers frames instead of samples.
        """
        last, self._last = self._last, (number, count, now_s)
        doubtful, self._doubtful = self._doubtful, False
        if last is None:
            return 0
        step, elapsed_s = (number - last[0]) % NUMBERS, now_s - last[2]
        if 0 < step < last[1] and not doubtful:
            raise SignalError(
                f"{self._name} sends overlapping frames: one of {last[1]} samples has the number {last[0]}, the next "
                f"one {number}; the number must be the index of the frame's first sample."
            )
        missing = (step - last[1]) % NUMBERS
        slack_s = _DOUBT_S if doubtful else self._slack_s + elapsed_s / 10
        if (missing == 0 and not doubtful) or abs((missing + count) / self._rate_hz - elapsed_s) <= slack_s:
            return missing
        lost = max(1, lost_by_clock(elapsed_s, self._rate_hz, count))
        logging.getLogger("edge_res").warning(
            "%s has restarted with number %d after %d; by the clock, %d samples are missing in between.",
            self._name, number, last[0] + last[1] - 1, lost,
        )  # fmt: skip
        return lost
