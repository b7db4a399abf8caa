"""Engines by name, and the files they run."""

from __future__ import annotations

from types import ModuleType

import pytest

from edge_res.engines import RunnerClass, load_engine
from edge_res.errors import EngineError
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.int8.graph import Graph

WRITERS: dict[str, ModuleType] = {"litert": tflite_writer, "onnxruntime": onnx_writer, "tflite-runtime": tflite_writer}


def usable(engine: str) -> RunnerClass:
    try:
        return load_engine(engine)
    except EngineError as error:
        pytest.skip(str(error))


def file_of(graph: Graph, engine: str) -> bytes:
    content: bytes = WRITERS[engine].write(graph)
    return content
