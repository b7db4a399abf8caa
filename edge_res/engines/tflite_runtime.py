"""tflite-runtime, the predecessor of LiteRT. Its last release, 2.14.0, is for Python before 3.12 and numpy before 2."""

from __future__ import annotations

import platform

import numpy as np

from edge_res.engines._tflite import TfliteRunner
from edge_res.errors import EngineError

_REQUIREMENTS = (
    f"it requires numpy < 2 (here {np.__version__}) and Python < 3.12 (here {platform.python_version()}); use the "
    "engine litert, or install it in a separate environment with `pip install 'edge-res[tflite-runtime]'`."
)
if int(np.__version__.split(".")[0]) >= 2:  # it would import, and then Interpreter() would raise SystemError
    raise EngineError(f"The engine tflite-runtime cannot run here: {_REQUIREMENTS}")
try:
    import tflite_runtime
    from tflite_runtime.interpreter import Interpreter
except ImportError as error:
    raise EngineError(
        f"The engine tflite-runtime requires its package, which cannot be imported ({error}); {_REQUIREMENTS}"
    ) from error


class TfliteRuntimeRunner(TfliteRunner):
    def __init__(self, model: bytes, threads: int) -> None:
        super().__init__(f"tflite-runtime {tflite_runtime.__version__}", Interpreter, model, threads)
