"""Staying on some of the cores, where a device has better ones and worse."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def stay_on(cores: Sequence[int]) -> str | None:
    """Keep this process, its threads and its children on these cores (sched_setaffinity(2)); no cores: on all.

    Returns the sentence that says so, also where none of them may be used, and all others stay.
    """
    if not cores:
        return None
    usable = os.sched_getaffinity(0) & set(cores)
    listed = ", ".join(map(str, cores))
    if not usable:
        return f"none of the cores {listed}, which the device file names, can be used here: all others are"
    for thread in Path("/proc/self/task").iterdir():  # numpy has started some when it was imported
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), usable)
    return f"staying on the cores {', '.join(map(str, sorted(usable)))}"
