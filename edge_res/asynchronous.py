"""Events for `async for`, of a `Listener` that listens in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Protocol

from edge_res.flow import Event

_UNREAD = 64  # events that a reader may be late with, before listening waits for it
_PATIENCE_S = 0.2  # after which a thread that waits for the reader looks whether there is one
_END = object()


class Stoppable(Protocol):
    """Events that come until they are stopped: a `Listener`."""

    def __iter__(self) -> Iterator[Event]: ...
    def stop(self) -> None: ...


async def events_of(listener: Stoppable) -> AsyncIterator[Event]:
    """The events of a listener, as they come; raises what ends it. It is stopped when the reader leaves."""
    running = asyncio.get_running_loop()
    queue: asyncio.Queue[object] = asyncio.Queue(_UNREAD)
    left = threading.Event()

    def put(item: object) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody reads
            placed = asyncio.run_coroutine_threadsafe(queue.put(item), running)
            while not left.is_set():
                with suppress(FutureTimeoutError):
                    return placed.result(_PATIENCE_S)
            placed.cancel()

    def work() -> None:
        try:
            for event in listener:
                put(event)
        except BaseException as error:
            put(error)
        put(_END)

    thread = threading.Thread(target=work, name="edge_res", daemon=True)
    thread.start()
    try:
        while (item := await queue.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            assert isinstance(item, Event)
            yield item
    finally:
        listener.stop()
        left.set()
        await asyncio.to_thread(thread.join)
