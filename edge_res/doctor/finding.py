"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "unknown", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    `what` names the check. A problem keeps `edgeres listen` without options from running or from giving right answers;
    a warning costs something now or may later; unknown is what cannot be checked here. `command` fixes it; if it is
    empty, the sentence says what to do.
    """

    what: str
    severity: Severity
    sentence: str
    command: str = ""
