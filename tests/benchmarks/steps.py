"""What a step saves: `python tests/benchmarks/steps.py [BUNDLE] [--run RUN]`.

For each engine the microseconds of the window model and of the step model (one hop, states carried), their ratio, and
the ratio of their multiply-adds. All are measured in turn in one loop, so that a noisy machine disturbs them alike;
medians are printed. With a run folder (needs the export stage's packages) also window models in int8 against float32:
the run's network in ONNX Runtime, and in LiteRT the operators of the bundle's window model on float32.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np

from edge_res.engines import load_engine
from edge_res.engines._tflite import quiet_info
from edge_res.model.bundle import Bundle, read_bundle
from edge_res.model.models import load_runner

ENGINES = ("litert", "onnxruntime")
WARM_UP = 200


def medians_us(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median microseconds of each call, all made in turn."""
    spent: dict[str, list[int]] = {name: [] for name in calls}
    for turn in range(WARM_UP + rounds):
        for name, call in calls.items():
            started = perf_counter_ns()
            call()
            if turn >= WARM_UP:
                spent[name].append(perf_counter_ns() - started)
    return {name: median(values) / 1000 for name, values in spent.items()}


def calls_of(bundle: Bundle) -> dict[str, Callable[[], object]]:
    """By engine and mode, what computes the scores of one hop from integers."""
    rng = np.random.default_rng(0)
    calls: dict[str, Callable[[], object]] = {}
    for engine in ENGINES:
        for mode in ("window", "step"):
            runner = load_runner(bundle, load_engine(engine), mode)
            spec = runner.inputs[0]
            limits = np.iinfo(spec.dtype)
            frames = rng.integers(limits.min, limits.max + 1, spec.shape).astype(spec.dtype)
            compute: Callable[[Any], object] = runner.run if mode == "window" else runner.advance
            calls[f"{engine} {mode}"] = lambda compute=compute, frames=frames: compute(frames)  # type: ignore[misc]
    return calls


def print_steps(bundle: Bundle, rounds: int) -> None:
    network = bundle.manifest.network
    macs = network["macs_window"] / network["macs_hop"]
    print(f"{bundle.manifest.name}: {bundle.manifest.frames} frames, a hop of {bundle.manifest.hop}; {rounds} rounds")
    print(f"{'engine':12} {'window µs':>10} {'step µs':>8} {'ratio':>6} {'MAC ratio':>10} {'ratio / MAC ratio':>18}")
    times = medians_us(calls_of(bundle), rounds)
    for engine in ENGINES:
        window, step = times[f"{engine} window"], times[f"{engine} step"]
        ratio = window / step
        print(f"{engine:12} {window:10.1f} {step:8.1f} {ratio:6.2f} {macs:10.2f} {ratio / macs:18.2f}")


def print_floats(bundle: Bundle, run: Path, rounds: int) -> None:
    calls = {name: call for name, call in calls_of(bundle).items() if name.endswith("window")}
    calls["litert float32"] = litert_float(bundle.file("window.tflite"))
    calls["onnxruntime float32"] = onnxruntime_float(run)
    times = medians_us(calls, rounds)
    print(f"{'engine':12} {'float32 µs':>10} {'int8 µs':>8} {'ratio':>6}")
    for engine in ENGINES:
        real, integer = times[f"{engine} float32"], times[f"{engine} window"]
        print(f"{engine:12} {real:10.1f} {integer:8.1f} {real / integer:6.2f}")


def litert_float(content: bytes) -> Callable[[], object]:
    """The same operators on float32, with the weights dequantized."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    for tensor in graph.tensors:
        if tensor.quantization is None:  # a shape or a padding
            continue
        buffer = model.buffers[tensor.buffer]
        if buffer.data is not None:
            integers = np.asarray(buffer.data).view(np.int8 if tensor.type == schema.TensorType.INT8 else np.int32)
            along = [1] * len(tensor.shape)
            along[tensor.quantization.quantizedDimension] = -1
            scale = np.asarray(tensor.quantization.scale, np.float32).reshape(along)
            real = (integers.reshape(tensor.shape) * scale).astype(np.float32)
            buffer.data = np.frombuffer(real.tobytes(), np.uint8)
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    for operator in graph.operators:  # in int8 the range of the output is the ReLU
        if hasattr(operator.builtinOptions, "fusedActivationFunction"):
            operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    with quiet_info():
        interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
        interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    frames = np.random.default_rng(0).standard_normal(source["shape"]).astype(np.float32)

    def call() -> object:
        interpreter.set_tensor(source["index"], frames)
        interpreter.invoke()
        return interpreter.get_tensor(sink["index"])

    return call


def onnxruntime_float(folder: Path) -> Callable[[], object]:
    """The network as it was trained, batch normalisation folded."""
    import onnxruntime

    from edge_res.export.bundling.trained import to_onnx
    from edge_res.export.training.runs import read_run

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(to_onnx(read_run(folder)), options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    frames = np.random.default_rng(0).standard_normal(source.shape).astype(np.float32)
    return lambda: session.run(None, {source.name: frames})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("bundle", nargs="?", default="default")
    parser.add_argument("--run", type=Path, help="the run folder that the bundle was made of")
    parser.add_argument("--rounds", type=int, default=3000)
    options = parser.parse_args()
    bundle = read_bundle(options.bundle)
    print_steps(bundle, options.rounds)
    if options.run:
        print_floats(bundle, options.run, options.rounds)


if __name__ == "__main__":
    main()
