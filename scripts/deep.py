"""How deep can a network be? `python scripts/deep.py [DEPTH ...]`: untrained ResNets through the whole export.

Each is quantized with random calibration data; then its step model must give the integers of its window model, in ONNX
Runtime and in LiteRT, and a bundle of it is exported and listens to the demo. A depth above 110 is exported as a window
model padded along time, as in the paper: unpadded it would need windows of 50 seconds. Prints frames, parameters,
multiply-adds, sizes, microseconds a hop, seconds that it took, and what `edgeres listen` says.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns

import numpy as np
import soundfile
import torch

from edge_res.engines import load_engine
from edge_res.export.bundling.material import Material
from edge_res.export.bundling.packaging import build
from edge_res.export.bundling.trained import to_onnx
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.formats.quantize import quantize
from edge_res.export.int8 import graph as graphs
from edge_res.export.int8.step import step_graph
from edge_res.export.nets.residual import ResNet, ResNetShape
from edge_res.export.training.runs import Run
from edge_res.export.training.settings import Spectrogram, TrainSettings
from edge_res.model.bundle import DecideParams
from edge_res.model.quantization import decode, encode
from edge_res.signal.frontend import compute_frames

DEMO = Path(__file__).resolve().parent.parent / "edge_res/data/demo.flac"
HOP = 8
HOPS = 4  # beyond the first window


def network(depth: int) -> tuple[ResNetShape, bytes]:
    """An untrained network with batch statistics, as float ONNX."""
    torch.manual_seed(0)
    padded = depth > 110
    shape = ResNetShape(depth, 40, 1, 12, frames=0, time_padding="same" if padded else "valid")
    frames = 136 if padded else -(-shape.receptive_field // HOP) * HOP
    shape = ResNetShape(depth, 40, 1, 12, frames=frames, time_padding=shape.time_padding)
    net = ResNet(shape)
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(4, 1, frames, 40))
    labels = tuple(f"label{i}" for i in range(12))
    run = Run(TrainSettings(frames=frames), Spectrogram().params(), labels, net.eval(), "", {}, {})
    return shape, to_onnx(run)


def check(depth: int) -> None:
    started = time.monotonic()
    shape, model = network(depth)
    rng = np.random.default_rng(0)
    calibration = rng.normal(size=(4, shape.frames, 40, 1)).astype(np.float32)
    window = quantize(model, calibration)
    stream = rng.integers(-128, 128, (shape.frames + HOPS * HOP, 40, 1)).astype(np.int8)
    starts = range(0, HOPS * HOP + 1, HOP)
    windows = np.stack([stream[at : at + shape.frames] for at in starts])
    found = {}
    told = []
    for engine, writer in (("litert", tflite_writer), ("onnxruntime", onnx_writer)):
        file = writer.write(window)
        runner = load_engine(engine)(file, 1)
        source, sink = runner.inputs[0], runner.outputs[0]
        spent = []
        logits = []
        for one in windows:
            begun = perf_counter_ns()
            logits.append(runner.run(encode(one[None], source))[0][0].copy())
            spent.append(perf_counter_ns() - begun)
        found[f"{engine} window"] = decode(np.stack(logits), sink)
        told.append(f"{engine} window {len(file) / 1e6:.1f} MB {median(spent) / 1e3:,.0f} µs")
        if not window.window_only:
            write = tflite_writer.write_with_variables if engine == "litert" else onnx_writer.write
            file = write(step_graph(window, HOP))
            runner = load_engine(engine)(file, 1)
            spent, logits = [], []
            for at in range(0, len(stream), HOP):
                begun = perf_counter_ns()
                logits.append(runner.advance(encode(stream[None, at : at + HOP], source))[0].copy())
                spent.append(perf_counter_ns() - begun)
            found[f"{engine} step"] = decode(np.stack(logits)[shape.frames // HOP - 1 :], sink)
            told.append(f"{engine} step {len(file) / 1e6:.1f} MB {median(spent) / 1e3:,.0f} µs")
    found["interpreter"] = graphs.run(window, windows[:1])
    first = next(iter(found.values()))
    differing = {name: int((logits != first[: len(logits)]).sum()) for name, logits in found.items()}
    step = "" if window.window_only else f", {step_graph(window, HOP).macs:,} a hop"
    print(
        f"ResNet-{depth}: {shape.frames} frames{' padded along time' if window.window_only else ''}, "
        f"{window.parameters:,} parameters, {window.macs:,} multiply-adds{step}\n  {'; '.join(told)}\n"
        f"  differing integers: {differing}; {time.monotonic() - started:.0f} s",
        flush=True,
    )
    if any(differing.values()):
        sys.exit(1)
    if not window.window_only:
        listen(shape, model)


def listen(shape: ResNetShape, model: bytes) -> None:
    """Export a bundle, with all its checks on the demo recording, and listen with it."""
    params = Spectrogram().params()
    samples, _ = soundfile.read(DEMO, dtype="float32", always_2d=True)
    stream = compute_frames(params, samples, HOP)
    labels = tuple(f"label{i}" for i in range(shape.labels))
    calibration = np.stack([stream[at : at + shape.frames] for at in range(0, len(stream) - shape.frames, 400)])
    material = Material(model, labels, (), params, HOP, calibration, stream, DecideParams(dict.fromkeys(labels, 1.0)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "deep.edgeres"
        build(material, path, f"resnet{shape.depth}", "minmax", None, lambda text: None)
        command = [sys.executable, "-m", "edge_res.cli", "listen", str(DEMO), "--model", str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    print("  " + told.splitlines()[-1], flush=True)


def main() -> None:
    for depth in map(int, sys.argv[1:] or ["8", "14", "20", "32", "56", "110"]):
        check(depth)


if __name__ == "__main__":
    main()
