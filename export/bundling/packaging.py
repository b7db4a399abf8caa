"""From material to a bundle: quantize, emit, verify, tune, write; if a check fails, nothing is written."""

from __future__ import annotations

import importlib.metadata
import math
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.engines import load_engine
from edge_res.errors import ExportError, OutputError
from edge_res.evaluation.metrics import measure
from edge_res.evaluation.streams import Played, scores_of
from edge_res.evaluation.tuning import Tuned, tune
from edge_res.export.bundling.answers import (
    PARITY_ENGINES,
    agreement,
    check_as_given,
    float_logits,
    int8_logits,
    is_quantized,
    quantized,
)
from edge_res.export.bundling.material import Material, Validation
from edge_res.export.bundling.parity import WRITERS, first_difference
from edge_res.export.bundling.word_stream import WordStream
from edge_res.export.formats.onnx_reader import read_qdq
from edge_res.export.formats.quantize import quantize_onnx, symmetric
from edge_res.export.formats.tflite_writer import write_with_variables
from edge_res.export.int8 import graph as graphs
from edge_res.export.int8.fold import fold_mean
from edge_res.export.int8.graph import Graph
from edge_res.export.int8.step import receptive_field, refuse_part_hop, step_graph, time_stride
from edge_res.model.bundle import GOLDEN, Bundle, Manifest, pack_golden, write_bundle
from edge_res.model.ensemble import Chain
from edge_res.model.models import load_model, load_runner
from edge_res.model.verify import verify, window_logits
from edge_res.version import __version__

SYMMETRIC = "window-symmetric.onnx"
GOLDEN_HOPS = 100
REFEREE_WINDOWS = 4  # that the slow interpreter computes, too


def build(
    material: Material, out: Path, name: str, method: str, target: str | None, say: Callable[[str], None]
) -> Bundle:
    """Make the bundle and write it once all checks have passed; otherwise raise `ExportError` and write nothing."""
    say("quantizing")
    window, is_tuned = quantized_well(material, method, say)
    check_shape(window, material)
    step, why_not = step_of(window, material.hop)
    members = emit(window, step)
    if target == "tensorrt":
        members[SYMMETRIC] = symmetric_of(material, method)
    manifest = Manifest(
        name=name,
        labels=material.labels,
        background=material.background,
        front_end=material.front_end,
        frames=window.input.shape[0],
        hop=material.hop,
        delay_s=material.delay_s,
        decide=material.decide,
        network=describe_network(window, step, why_not),
        training=material.training,
        tools=versions(),
    )
    draft = Bundle(manifest, members)

    say("comparing engines and modes")
    integers = quantized(material.stream, window)
    golden = golden_of(draft, window, integers)
    check_parity(draft, window, step, integers, golden)
    metrics = accuracy(draft, material, window)
    if is_tuned:
        metrics["int8_tuned"] = True
    manifest = replace(manifest, metrics=metrics)

    if material.word_stream is not None:
        say("tuning thresholds on a stream of validation words")
        tuned = tuned_on(draft, material.word_stream)
        stream = {key: getattr(tuned, key) for key in ("words", "hits", "false_events", "audio_s")}
        metrics = {**manifest.metrics, "validation_stream": stream}
        manifest = replace(manifest, decide=tuned.decide, delay_s=tuned.delay_s, metrics=metrics)
    short = integers[: manifest.frames + (GOLDEN_HOPS - 1) * manifest.hop]
    bundle = Bundle(manifest, {**members, GOLDEN: pack_golden(short, golden[:GOLDEN_HOPS])})
    try:
        write_bundle(out, bundle)
    except OutputError as error:
        raise ExportError(str(error)) from None
    return bundle


def quantized_well(material: Material, method: str, say: Callable[[str], None]) -> tuple[Graph, bool]:
    """The quantized network, and whether it was tuned: only if int8 costs too much accuracy and tuning helps."""
    if is_quantized(material.network):
        return read_qdq(material.network), False
    graph = read_qdq(quantize_onnx(material.network, material.calibration, method))
    window, validation = fold_mean(graph), material.validation
    if material.tune is None or validation is None:
        return window, False
    in_float = shares_right(float_logits(material.network, validation.frames), validation)
    found = shares_right(int8_logits(window, validation.frames), validation)
    # One window may flip in any case.
    if in_float - found <= max(material.allowed_loss, 1 / len(validation.targets)) + 1e-9:
        return window, False
    say(f"int8 costs {100 * (in_float - found):.1f} points of accuracy, tuning")
    tuned = fold_mean(material.tune(graph))  # the unfolded graph: what folding repeats is one weight
    better = shares_right(int8_logits(tuned, validation.frames), validation)
    say(f"int8 accuracy {better:.1%} after tuning, {found:.1%} before, {in_float:.1%} in float")
    return (tuned, True) if better > found else (window, False)


def shares_right(logits: NDArray[np.float32], validation: Validation) -> float:
    return float((logits.argmax(1) == validation.targets).mean())


def check_shape(graph: Graph, material: Material) -> None:
    """Refuse a network that does not take the front-end's image, or does not give one logit per label."""
    params = material.front_end
    if graph.input.shape[1:] != (params.bins, params.channels) or graph.labels != len(material.labels):
        raise ExportError(
            f"The network takes {graph.input.shape} (frames, bins, channels) and gives {graph.labels} logits; the "
            f"front-end gives {params.bins} bins of {params.channels} channels, for {len(material.labels)} labels."
        )


def step_of(window: Graph, hop: int) -> tuple[Graph | None, str]:
    """The step graph, or the reason why there is none, such as padding along time."""
    if window.window_only:
        refuse_part_hop(window.input.shape[0], hop)
        return None, window.window_only
    return step_graph(window, hop), ""


def emit(window: Graph, step: Graph | None) -> dict[str, bytes]:
    """The model files: both modes in both formats; a TFLite step model keeps its states in variables of its own."""
    members = {f"window.{suffix}": write(window) for suffix, write in WRITERS.items()}
    if step is None:
        return members
    return {**members, "step.onnx": WRITERS["onnx"](step), "step.tflite": write_with_variables(step)}


def golden_of(draft: Bundle, window: Graph, integers: NDArray[np.int8]) -> NDArray[np.int8]:
    """The logits at each hop of the stream, from the first engine; the interpreter must confirm the first few."""
    runner = load_runner(draft, load_engine(PARITY_ENGINES[0]), "window")
    logits = window_logits(runner, draft.manifest, integers)
    frames, hop = draft.manifest.frames, draft.manifest.hop
    for i in range(min(REFEREE_WINDOWS, len(logits))):
        piece = integers[i * hop : i * hop + frames]
        if (graphs.run(window, piece[None])[0] != logits[i]).any():
            where = first_difference(window, PARITY_ENGINES[0], [piece]) or "no single operation"
            raise ExportError(
                f"{runner.engine} does not compute what the network defines, first at {where}; nothing was written."
            )
    return logits


def check_parity(
    draft: Bundle, window: Graph, step: Graph | None, integers: NDArray[np.int8], golden: NDArray[np.int8]
) -> None:
    """Require the golden integers on the whole stream from every engine and mode."""
    for engine in PARITY_ENGINES:
        for check in verify(draft, integers, golden, [engine]):
            if check.differing:
                graph = step if step and check.mode == "step" else window
                zeros = [np.full(state.shape, state.zero_point, np.int8) for state in graph.states]
                where = first_difference(graph, engine, [integers[: graph.input.shape[0]], *zeros])
                raise ExportError(
                    f"The {check.mode} model on {check.engine} differs from the {check.against} logits in "
                    f"{check.differing} of {check.values} (by at most {check.largest}), first at "
                    f"{where or 'no single operation'}; nothing was written."
                )


def accuracy(draft: Bundle, material: Material, window: Graph) -> dict[str, Any]:
    """Accuracy on the validation windows, with the integers that will run and in float, and which windows differ.

    Without validation windows: how far the integers are from the given file, on the calibration windows.
    """
    if material.validation is None:
        return as_given(draft, material, window)
    validation = material.validation
    logits = int8_logits(window, validation.frames)

    def measured(found: NDArray[np.int64]) -> dict[str, Any]:
        return measure(found, validation.targets, material.labels)

    metrics: dict[str, Any] = {"validation_int8": measured(logits.argmax(1))}
    if not is_quantized(material.network):
        in_float = float_logits(material.network, validation.frames).argmax(1)
        metrics["validation_float"] = measured(in_float)
        metrics["flips"] = [
            {"window": validation.names[i], "float": material.labels[in_float[i]], "int8": material.labels[one]}
            for i, one in enumerate(logits.argmax(1))
            if one != in_float[i]
        ]
    if SYMMETRIC in draft.files:
        metrics["validation_symmetric"] = measured(float_logits(draft.files[SYMMETRIC], validation.frames).argmax(1))
    return metrics


def as_given(draft: Bundle, material: Material, window: Graph) -> dict[str, Any]:
    """How well the bundle agrees with the file it is made from; raises `ExportError` if the file was misread."""
    given = float_logits(material.network, material.calibration)
    found = int8_logits(window, material.calibration)
    if is_quantized(material.network):
        check_as_given(given, found, window.output.scale)
    metrics = {"agreement_int8": {**agreement(given, found), "step": window.output.scale}}
    if SYMMETRIC in draft.files:
        found = float_logits(draft.files[SYMMETRIC], material.calibration)
        metrics["agreement_symmetric"] = agreement(given, found)
    return metrics


def symmetric_of(material: Material, method: str) -> bytes:
    """The window model for TensorRT: from the float network, since tuning suits the rounding of the other files."""
    if is_quantized(material.network):
        raise ExportError(
            "A model for TensorRT is made from a float network, and this one is quantized; export the float network."
        )
    return symmetric(material.network, material.calibration, method)


def tuned_on(draft: Bundle, stream: WordStream) -> Tuned:
    """Thresholds and delay, tuned on what `listen` will make of the stream."""
    manifest = draft.manifest
    model = load_model(draft, load_engine(PARITY_ENGINES[0]), "window")
    source = Played("validation words", manifest.front_end.sample_rate_hz, [stream.samples])
    scores = scores_of([Chain(manifest, model)], manifest.decide, source)
    return tune(scores, stream.words, manifest.labels, manifest.background)


def describe_network(window: Graph, step: Graph | None, why_not: str) -> dict[str, Any]:
    """What the network costs and how far it sees, for `info` and the benchmarks."""
    facts: dict[str, Any] = {
        "parameters": window.parameters,
        "macs_window": window.macs,
        "receptive_field": receptive_field(window),
        "time_stride": time_stride(window),
    }
    if step is None:
        return {**facts, "window_only": why_not}
    return {**facts, "macs_hop": step.macs, "state_bytes": sum(math.prod(tensor.shape) for tensor in step.states)}


def versions() -> dict[str, str]:
    """The versions of what made the bundle."""
    packages = ("numpy", "torch", "onnx", "onnxruntime", "ai-edge-litert")
    return {
        "edge_res": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }
