"""A microphone that is unplugged and comes back, again and again: what a listener says is missing, and what truly is.

`listen` runs in a process of its own, with the environment of the tests' PulseAudio: `python -m tests.unplug`. The
noise that it hears says where in it each sample is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_res.flow import Health
from edge_res.sources import Wanted
from edge_res.sources.mic import Microphone
from tests.pulse import NOISE, RATE_HZ, Noise, Pluggable

AWAY_S = (1.0, 0.3, 2.0, 0.7)  # in turn
_BETWEEN_S = 1.0
_PATIENCE_S = 20.0  # a cycle


@dataclass(frozen=True)
class Cycle:
    """One time that it was away, as the listener saw it."""

    kind: str  # "there": a gap was stated, and it was not away
    back_s: float  # from its return to the first sample
    stated_ms: float
    error_ms: float  # stated less true
    wrong: int  # samples since the last cycle that are not the noise's, at the places where they are said to be
    threads: int
    rss_mb: float


def cycles(kinds: Sequence[str], count: int) -> Iterator[Cycle]:
    """Unplug it `count` times, in the ways `kinds` in turn."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        noise = Noise(folder / "a")
        exits.callback(noise.stop)
        server = Pluggable(folder / "b", noise)
        exits.callback(lambda: server.stop())
        command = [sys.executable, "-m", "tests.unplug"]
        root = Path(__file__).parents[1]
        with subprocess.Popen(command, env=server.env, cwd=root, stdout=subprocess.PIPE, text=True) as listener:
            end = threading.Timer(_PATIENCE_S * (1 + count), listener.kill)
            end.start()
            exits.callback(end.cancel)
            exits.callback(listener.kill)
            assert listener.stdout
            assert listener.stdout.readline() == '"listening"\n'
            for i in range(count):
                time.sleep(_BETWEEN_S)
                kind, away_at_s = kinds[i % len(kinds)], time.monotonic()
                back_at_s = _away(server, kind, AWAY_S[i // len(kinds) % len(AWAY_S)])
                told = False
                while not told:
                    line = listener.stdout.readline()
                    assert line, f"{kind}, it did not come back"
                    gap = json.loads(line)
                    back_s, told = gap["at_s"] - back_at_s, gap.pop("at_s") > away_at_s
                    yield Cycle(kind if told else "there", back_s, **gap)
            listener.kill()


def _away(server: Pluggable, kind: str, away_s: float) -> float:
    """The microphone is gone for a time; when it was back, by the monotonic clock."""
    if kind == "unplugged":
        server.unplug()
        time.sleep(away_s)
        server.plug()
    elif kind == "server killed":
        server.stop()
        time.sleep(away_s)
        server.start()
        server.plug()
    elif kind == "suspended":
        server.suspend()
        time.sleep(away_s)
        server.resume()
    return time.monotonic()


def where(samples: NDArray[np.int16]) -> int:
    """The place in the noise at which some samples are, -1 if they are not of it."""
    found = np.flatnonzero(samples[0] == NOISE)
    for i in range(1, min(4, len(samples))):
        found = found[NOISE[(found + i) % len(NOISE)] == samples[i]]
    return int(found[0]) if len(found) else -1


def listen() -> None:
    """Tell a line for each gap; it ends when it is killed."""
    offset: int | None = None  # from the position that is told to the place in the noise
    wrong = 0
    with Microphone("mic:pulse", Wanted(RATE_HZ, 1, 0.08)) as source:
        for block in source:
            if isinstance(block, Health):
                print(block, file=sys.stderr)
                continue
            if len(block.samples) < 4:
                continue
            came_s = time.monotonic()
            samples = np.rint(block.samples[:, 0] * 32768).astype(np.int16)
            place = where(samples)
            if offset is None:
                offset = place - block.at
                print('"listening"', flush=True)
            if block.lost and place >= 0:
                half = len(NOISE) // 2
                error = (block.at + offset - place + half) % len(NOISE) - half
                offset = place - block.at
                told = {
                    "at_s": came_s,
                    "stated_ms": block.lost / RATE_HZ * 1000,
                    "error_ms": error / RATE_HZ * 1000,
                    "wrong": wrong,
                    "threads": len(list(Path("/proc/self/task").iterdir())),
                    "rss_mb": rss_mb(),
                }
                print(json.dumps(told), flush=True)
                wrong = 0
            expected = NOISE[(block.at + offset + np.arange(len(samples))) % len(NOISE)]
            wrong += int(np.count_nonzero(samples != expected))


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    listen()
