"""`edgeres profile-row`: the process in which `profile` measures a row."""

from __future__ import annotations

import os
import threading


def profile_row(task: str) -> None:
    """Measure one row of a profile; ends with the process that started it, which holds its stdin open."""
    from edge_res.profiling.worker import main

    threading.Thread(target=end_with_stdin, daemon=True).start()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # what a library prints does not get between the figures
        main(task, out)


def end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
