"""How fast the processor is right now, by a fixed piece of work.

A virtual machine's host, a governor or heat can slow a processor evenly and for minutes, and no counter shows it. Only
a comparison with other times does, so the best time of the last days is kept in the user's cache.
"""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from time import perf_counter, perf_counter_ns

from edge_res.devices.machine import machine_name
from edge_res.errors import OutputError
from edge_res.writing import replace_file

_SPIN_S = 0.03  # long enough for a governor to raise the clock
_STEPS = 1000
_KEPT_S = 7 * 86400.0


def reference_us() -> float:
    """The shortest time, in `_SPIN_S`, of some integer arithmetic in Python that fits into the first cache."""
    best, until = 1 << 62, perf_counter() + _SPIN_S
    while perf_counter() < until:
        started, value = perf_counter_ns(), 1
        for _ in range(_STEPS):
            value = (value * 1103515245 + 12345) & 0x7FFFFFFF
        best = min(best, perf_counter_ns() - started)
    return best / 1000


def best_known_us(root: Path = Path("/")) -> float | None:
    """The best time of the last days on this machine with its present clock settings; None if unknown."""
    entry = _read().get(_key(root))
    if isinstance(entry, list) and len(entry) == 2 and all(isinstance(value, (int, float)) for value in entry):
        best_us, at_s = entry
        if 0 <= time.time() - at_s < _KEPT_S and best_us > 0:
            return float(best_us)
    return None


def keep_best(us: float, root: Path = Path("/")) -> None:
    """Save a time if it is the best; does nothing if the cache cannot be written."""
    known = best_known_us(root)
    if known is None or us < known:
        path = cache()
        with suppress(OSError, OutputError):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, json.dumps({**_read(), _key(root): [us, time.time()]}), durable=False)


def cache() -> Path:
    """`edgeres/reference.json` in `$XDG_CACHE_HOME`, by default `~/.cache` (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111
    return base / "edgeres" / "reference.json"


def _key(root: Path) -> str:
    """The machine, Python and the clock settings, since another power mode is like another machine."""
    folder = root / "sys/devices/system/cpu/cpu0/cpufreq"
    settings = []
    for name in ("scaling_governor", "scaling_max_freq"):
        with suppress(OSError):
            settings.append((folder / name).read_text().strip())
    return ", ".join([machine_name(root), f"Python {platform.python_version()}", *settings])


def _read() -> dict[str, object]:
    try:
        body = json.loads(cache().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
