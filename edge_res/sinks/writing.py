"""What happens when stdout cannot take more: a full disk is said in a sentence, a reader that has gone is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge_res.errors import OutputError


@contextmanager
def writing() -> Iterator[None]:
    """While something is written to stdout."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"stdout cannot be written: {error.strerror}; make room, or write elsewhere.") from None
