"""The engines and modes that a model can run in, and the bundled models, by name.

Standard library only: device files name engines, and `doctor` looks for them where no package is installed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineEntry:
    """Where an engine's class is, `module:Class`, and which distribution pip installs for it."""

    runner: str
    distribution: str


# The first that is installed is used unless a device file or an option names another.
ENGINES = {
    "litert": EngineEntry("edge_res.engines.litert:LiteRtRunner", "ai-edge-litert"),
    "tflite-runtime": EngineEntry("edge_res.engines.tflite_runtime:TfliteRuntimeRunner", "tflite-runtime"),
    "onnxruntime": EngineEntry("edge_res.engines.onnxruntime:OnnxRuntimeRunner", "onnxruntime"),
}
MODES = ("step", "window")
BUNDLED = ("default", "tiny")  # models in the package
