"""LiteRT (package ai-edge-litert), which runs int8 convolutions with XNNPACK."""

from __future__ import annotations

from importlib import metadata

from edge_res.engines._tflite import TfliteRunner
from edge_res.errors import EngineError

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError as error:
    raise EngineError(
        f"The engine litert requires the package ai-edge-litert, which cannot be imported ({error}); install it with "
        "`pip install ai-edge-litert` (64-bit systems only, CPython 3.10 or newer)."
    ) from error


class LiteRtRunner(TfliteRunner):
    def __init__(self, model: bytes, threads: int) -> None:
        super().__init__(f"LiteRT {metadata.version('ai-edge-litert')}", Interpreter, model, threads)
