"""Streaming edge inference: a microphone or sensor in, events out, with int8 models on small devices.

>>> import edge_res
>>> for event in edge_res.listen("demo:"):
...     if event.event == "on":
...         print(event.label, event.score, event.start_s)
...         break
yes 0.9532 1.96

`listen` and `Listener` take the addresses of sources; `load` returns a model for your own samples.

Data flows through the parts in this order::

    sources -> ring -> front-end -> models (over engines) -> decide -> sinks

Imports go one way along that line. No heavy module is loaded until one of the names below is used.
"""

# Python 3.6 must be able to read this: `python3 -m edge_res.doctor` reports that it is too old.
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge_res.version import __version__ as __version__

if TYPE_CHECKING:
    from edge_res.errors import EdgeResError
    from edge_res.flow import Event, Scores
    from edge_res.listener import Listener, listen
    from edge_res.streaming import Model, SampleStream, load

__all__ = ["EdgeResError", "Event", "Listener", "Model", "SampleStream", "Scores", "listen", "load"]

_HOMES = {
    "EdgeResError": "edge_res.errors",
    "Event": "edge_res.flow",
    "Listener": "edge_res.listener",
    "Model": "edge_res.streaming",
    "SampleStream": "edge_res.streaming",
    "Scores": "edge_res.flow",
    "listen": "edge_res.listener",
    "load": "edge_res.streaming",
}


def __getattr__(name: str) -> Any:
    """The public names, from their modules when they are first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
