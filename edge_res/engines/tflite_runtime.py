"""tflite-runtime, LiteRT's predecessor, whose last release is 2.14.0: for Python before 3.12 and numpy before 2."""

from __future__ import annotations

import platform

import numpy as np

from edge_res.engines._tflite import TfliteRunner
from edge_res.errors import EngineError

_NEEDS = (
    f"it needs numpy < 2 (this is {np.__version__}) and Python < 3.12 (this is {platform.python_version()}): use "
    "the engine litert, or install it in an environment of its own with: pip install '.[tflite-runtime]'"
)
if int(np.__version__.split(".")[0]) >= 2:  # it would import, and then Interpreter() would raise SystemError
    raise EngineError(f"The engine tflite-runtime cannot run here; {_NEEDS}")
try:
    import tflite_runtime
    from tflite_runtime.interpreter import Interpreter
except ImportError as error:
    raise EngineError(f"The engine tflite-runtime cannot be imported ({error}); {_NEEDS}") from error


class TfliteRuntimeRunner(TfliteRunner):
    def __init__(self, model: bytes, threads: int) -> None:
        super().__init__(f"tflite-runtime {tflite_runtime.__version__}", Interpreter, model, threads)
