"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "unknown", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    `what` names the check. A problem keeps `edgeres listen` from its work, as it runs without options or with a right
    answer; a warning costs something or may do so later; unknown is what this machine does not tell. `command` mends
    it; empty where no command does, and then the sentence says what to do.
    """

    what: str
    severity: Severity
    sentence: str
    command: str = ""
