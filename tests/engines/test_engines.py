"""What all engines have in common, tested on all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_res.engines import load_engine
from edge_res.engines._tflite import quiet_info
from edge_res.errors import ModelError
from edge_res.export.int8.graph import Graph, run
from tests.engines.loading import file_of, usable
from tests.export.drawing import logits_of, windows


def test_threads_do_not_change_the_answer(graph: Graph, engine: str) -> None:
    frames = windows(graph, 4)
    one, two = (logits_of(usable(engine)(file_of(graph, engine), threads), frames) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)
    if engine == "tflite-runtime":  # its own kernels round differently
        assert np.abs(one.astype(int) - run(graph, frames)).max() <= 3
    else:
        np.testing.assert_array_equal(one, run(graph, frames))


def test_an_answer_outlives_the_next_run(graph: Graph, engine: str) -> None:
    runner = usable(engine)(file_of(graph, engine), 1)
    first, second = windows(graph, 2).astype(runner.inputs[0].dtype)
    (kept,) = runner.run(first[None])
    before = kept.copy()
    (other,) = runner.run(second[None])
    assert (other != before).any()
    np.testing.assert_array_equal(kept, before)


def test_the_engine_has_a_name_and_version(graph: Graph, engine: str) -> None:
    names = {"litert": "LiteRT ", "onnxruntime": "ONNX Runtime ", "tflite-runtime": "tflite-runtime 2.14.0 "}
    assert usable(engine)(file_of(graph, engine), 1).engine.startswith(names[engine])


def test_a_cut_off_file_is_refused(graph: Graph, engine: str) -> None:
    content = file_of(graph, engine)
    for length in [0, 1, 7, 8, 12, *range(16, len(content) - 1, len(content) // 40), len(content) - 1]:
        with pytest.raises(ModelError):
            usable(engine)(content[:length], 1)


def test_the_file_of_another_engine_and_garbage_are_refused(graph: Graph, engine: str) -> None:
    other = "litert" if engine == "onnxruntime" else "onnxruntime"
    for content in (file_of(graph, other), bytes(100), b"\xff" * 1000):
        with pytest.raises(ModelError, match="export it again"):
            usable(engine)(content, 1)


def test_a_file_that_loads_but_cannot_run_is_refused(graph: Graph) -> None:
    model = onnx.load_from_string(file_of(graph, "onnxruntime"))
    (shape,) = (array for array in model.graph.initializer if array.name == "logits.shape")
    shape.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 4]), "logits.shape"))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in (1, 4):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = size
    with pytest.raises(ModelError, match="ONNX Runtime cannot load the model"):
        load_engine("onnxruntime")(model.SerializeToString(), 1)


def test_a_damaged_name_is_refused_without_output(graph: Graph, engine: str, capfd: pytest.CaptureFixture[str]) -> None:
    content = file_of(graph, engine)
    for name in (b"logits", b"DequantizeLinear"):  # the latter only in ONNX
        if name in content:
            with pytest.raises(ModelError):
                usable(engine)(content.replace(name, name[:-1] + b"\xff"), 1)
    assert capfd.readouterr() == ("", "")


def test_onnx_without_scales_is_refused(graph: Graph) -> None:
    model = onnx.load_from_string(file_of(graph, "onnxruntime"))
    for value, words in (
        ('{"frames": {"scale": 1}}', "no scale for frames"),
        ("[]", "no readable metadata"),
        ("{", "no readable metadata"),
    ):
        model.metadata_props[0].value = value
        with pytest.raises(ModelError, match=words):
            load_engine("onnxruntime")(model.SerializeToString(), 1)
    del model.metadata_props[:]
    with pytest.raises(ModelError, match="no readable metadata"):
        load_engine("onnxruntime")(model.SerializeToString(), 1)


def test_tflite_without_scales_is_refused(graph: Graph) -> None:
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(file_of(graph, "litert"), 0)
    tensors = model.subgraphs[0].tensors
    next(tensor for tensor in tensors if tensor.name == b"logits").quantization = None
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(ModelError):
        load_engine("litert")(bytes(builder.Output()), 1)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("engine", "package", "words"),
    [
        ("litert", "ai_edge_litert", "`pip install ai-edge-litert`"),
        ("onnxruntime", "onnxruntime", "`pip install onnxruntime`."),
        ("tflite-runtime", "tflite_runtime", "pip install 'edge-res[tflite-runtime]'`."),
    ],
)
def test_an_engine_without_its_package_says_how_to_install_it(engine: str, package: str, words: str) -> None:
    done = python(
        f"import sys; sys.modules[{package!r}] = None\n"
        "from edge_res.engines import load_engine\n"
        "from edge_res.errors import EngineError\n"
        f"try: load_engine({engine!r})\n"
        "except EngineError as error: print(error)\n"
    )
    assert done.stdout.startswith(f"The engine {engine} ")
    assert " cannot " in done.stdout
    assert words in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_tflite_runtime_with_numpy_2_says_so_before_it_breaks() -> None:
    done = python(
        "import numpy; numpy.__version__ = '2.4.6'\n"
        "from edge_res.engines import load_engine\n"
        "from edge_res.errors import EngineError\n"
        "try: load_engine('tflite-runtime')\n"
        "except EngineError as error: print(error)\n"
    )
    assert (
        "The engine tflite-runtime cannot run here: it requires numpy < 2 (here 2.4.6) and Python < 3.12" in done.stdout
    )


def test_loading_and_running_is_silent(graph: Graph, engine: str, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(file_of(graph, engine))
    done = python(
        "from pathlib import Path; import numpy as np\n"
        "from edge_res.engines import load_engine\n"
        f"runner = load_engine({engine!r})(Path({str(tmp_path / 'model')!r}).read_bytes(), 1)\n"
        "runner.run(np.zeros(runner.inputs[0].shape, runner.inputs[0].dtype))\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_information_is_silenced(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_info():
        os.write(2, b"INFO: chatter\nERROR: trouble\n")
    os.write(2, b"INFO: afterwards\n")
    assert capfd.readouterr().err == "ERROR: trouble\nINFO: afterwards\n"


def test_a_closed_stderr_does_no_harm() -> None:
    done = python(
        "import os, sys; os.close(2); sys.stderr = None\n"
        "from edge_res.engines._tflite import quiet_info\n"
        "with quiet_info(): print('inside')\n"
    )
    assert (done.returncode, done.stdout) == (0, "inside\n")


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "flags : avx2 avx512f", True),
        ("x86_64", "flags : avx2 avx512_vnni", False),
        ("x86_64", "flags : avx2 avx_vnni", False),
        ("AMD64", None, True),
        ("aarch64", "Features : asimd", False),
    ],
)
def test_exact_kernels_are_requested_where_the_fast_ones_overflow(
    machine: str, flags: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_res.engines import onnxruntime

    monkeypatch.setattr("platform.machine", lambda: machine)
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags)
    assert onnxruntime._saturates(tmp_path / "cpuinfo") is expected
