"""Several sources as one stream of blocks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from edge_res.errors import EdgeResError
from edge_res.flow import Block, Health
from edge_res.sources import TICK_S, Source

_JOIN_S = 2.0  # a live source yields at least every TICK_S; one that hangs is abandoned


@dataclass(frozen=True, slots=True)
class End:
    """A source has ended; `error` is why, unless it simply reached its end."""

    source: str
    error: EdgeResError | None = None


def merged(sources: Sequence[Source]) -> Generator[Block | Health | End, None, None]:
    """What all sources yield, as it comes, until all have ended; for each an `End`, with its error if it failed.

    A block is valid until the next item is requested, as with a single source: each source is read in a separate
    thread, which waits until its block has been used. A single source is read in this thread.
    """
    if len(sources) == 1:
        yield from _until_end(sources[0])
    else:
        yield from _threaded(sources)


def _until_end(source: Source) -> Iterator[Block | Health | End]:
    error = None
    try:
        yield from source
    except EdgeResError as raised:
        error = raised
    yield End(source.name, error)


def _threaded(sources: Sequence[Source]) -> Iterator[Block | Health | End]:
    come: queue.SimpleQueue[tuple[Block | Health | End | BaseException, threading.Semaphore]] = queue.SimpleQueue()
    stopping = threading.Event()
    threads = [
        threading.Thread(target=_read, args=(source, come, stopping), name=f"read {source.name}", daemon=True)
        for source in sources
    ]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            item, used = come.get()
            if isinstance(item, BaseException):
                raise item
            running -= isinstance(item, End)
            yield item
            used.release()
    finally:
        stopping.set()
        for thread in threads:
            thread.join(_JOIN_S)


def _read(
    source: Source,
    come: queue.SimpleQueue[tuple[Block | Health | End | BaseException, threading.Semaphore]],
    stopping: threading.Event,
) -> None:
    """In a thread: hand over one item after the other, each once the previous one has been used."""
    used = threading.Semaphore(0)
    try:
        for item in _until_end(source):
            if stopping.is_set():
                return
            come.put((item, used))
            while not used.acquire(timeout=TICK_S) and not stopping.is_set():
                pass
    except BaseException as fault:
        come.put((fault, used))
