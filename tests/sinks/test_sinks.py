"""Several sinks as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_res.errors import OutputError
from edge_res.sinks.health import HealthReport
from edge_res.sinks.tee import Tee


class Full(HealthReport):
    """A sink that cannot write what it still has."""

    def finish(self) -> None:
        raise OutputError("the disk is full")


class Counted(HealthReport):
    finished = 0

    def finish(self) -> None:
        self.finished += 1


def test_all_are_finished_even_where_one_cannot_be() -> None:
    first, last = Counted(None), Counted(Path("health.json"))
    with pytest.raises(OutputError, match="the disk is full"):
        Tee([first, Full(None), last]).finish()
    assert (first.finished, last.finished) == (1, 1)
