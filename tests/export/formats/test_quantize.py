from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_res.engines import load_engine
from edge_res.errors import ExportError
from edge_res.export.formats import onnx_writer, tflite_writer
from edge_res.export.formats.onnx_reader import read_qdq
from edge_res.export.formats.quantize import check_tensorrt, quantize, quantize_onnx, symmetric
from edge_res.export.int8.graph import Add, Conv, DepthwiseConv, Graph, run
from edge_res.export.int8.step import step_graph
from edge_res.model.quantization import decode, encode
from tests.export.drawing import logits_of

RNG = np.random.default_rng(0)
CALIBRATION = RNG.standard_normal((8, 12, 6, 1)).astype(np.float32)


def weights(*shape: int) -> NDArray[np.float32]:
    return RNG.standard_normal(shape).astype(np.float32)


class Net:
    """A float ONNX file, node by node: input (1, 1, 12, 6)."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: str | NDArray[Any], **attributes: Any) -> str:
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], name=f"the_{output}", **attributes))
        return output

    def constant(self, values: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(values, f"constant{len(self.constants)}"))
        return f"constant{len(self.constants) - 1}"

    def finish(self, output: str, logits: Sequence[int] = (1, 3), shape: Sequence[int | str] = (1, 1, 12, 6)) -> bytes:
        source = helper.make_tensor_value_info("frames", TensorProto.FLOAT, shape)
        sink = helper.make_tensor_value_info(output, TensorProto.FLOAT, logits)
        graph = helper.make_graph(self.nodes, "net", [source], [sink], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        content: bytes = model.SerializeToString()
        return content

    def head(self, x: str, channels: int, frames: int, bins: int) -> str:
        mean = np.full((channels, 1, frames, bins), 1 / (frames * bins), np.float32)
        x = self.node("Conv", x, mean, group=channels)
        return self.node("Flatten", self.node("Conv", x, weights(3, channels, 1, 1)))


def residual_net() -> bytes:
    net = Net()
    x = net.node("Relu", net.node("Conv", "frames", weights(4, 1, 3, 3), weights(4), pads=[0, 1, 0, 1]))
    y = net.node("Relu", net.node("Conv", x, weights(4, 4, 3, 3), weights(4), pads=[0, 1, 0, 1]))
    y = net.node("Conv", y, weights(4, 4, 3, 3), weights(4), pads=[0, 1, 0, 1])
    cropped = net.node("Slice", x, np.array([2]), np.array([-2]), np.array([2]))
    return net.finish(net.head(net.node("Relu", net.node("Add", y, cropped)), 4, 6, 6))


def float_logits(model: bytes, frames: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime as ort

    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    feeds = [np.ascontiguousarray(window.transpose(2, 0, 1)[None]) for window in frames]
    return np.concatenate([session.run(None, {"frames": feed})[0] for feed in feeds])


def real_logits(graph: Graph, frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Those of the graph, after a check that both engines give the same integers."""
    source, sink = graph.input, graph.output
    integers = np.clip(np.rint(frames / source.scale) + source.zero_point, -128, 127).astype(np.int8)
    logits = run(graph, integers)
    for engine, writer in (("litert", tflite_writer), ("onnxruntime", onnx_writer)):
        found = logits_of(load_engine(engine)(writer.write(graph), 1), integers)
        np.testing.assert_array_equal(found, logits, err_msg=engine)
    real: NDArray[np.float64] = (logits.astype(np.float64) - sink.zero_point) * sink.scale
    return real


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_a_quantized_network_answers_like_the_float_one(method: str) -> None:
    model = residual_net()
    graph = quantize(model, CALIBRATION, method)
    assert [type(op).__name__ for op in graph.ops].count("Add") == 1
    expected = float_logits(model, CALIBRATION)
    error = real_logits(graph, CALIBRATION) - expected
    assert np.sqrt((error**2).mean()) < 0.15 * expected.std()


def test_the_method_decides_the_ranges() -> None:
    model = residual_net()
    minmax, percentile = (quantize(model, CALIBRATION, method).output.scale for method in ("minmax", "percentile"))
    assert percentile < minmax


def test_a_relu_vanishes_into_the_zero_point() -> None:
    graph = quantize(residual_net(), CALIBRATION)
    assert all(isinstance(op, Conv | DepthwiseConv | Add) or op.name.startswith("the_slice") for op in graph.ops)
    zero_points = {op.name: op.output.zero_point for op in graph.ops}
    assert [zero_points[name] for name in ("the_conv0", "the_conv2", "the_add6")] == [-128] * 3
    assert zero_points["the_conv4"] > -128


def test_a_file_quantized_elsewhere_is_read() -> None:
    """Symmetric int8 activations, one weight scale per tensor, every ReLU still there."""
    from onnxruntime.quantization import QuantType, quantize_static

    import edge_res.export.formats.quantize as module

    model = residual_net()
    with pytest.MonkeyPatch.context() as patch:

        def foreign(source: Any, sink: Any, reader: Any, **settings: Any) -> None:
            settings |= {"per_channel": False, "activation_type": QuantType.QInt8}
            settings["extra_options"] = {"ActivationSymmetric": True, "QDQKeepRemovableActivations": True}
            quantize_static(source, sink, reader, **settings)

        patch.setattr(module, "quantize_static", foreign)
        quantized = quantize_onnx(model, CALIBRATION)
    kinds = [node.op_type for node in onnx.load_from_string(quantized).graph.node]
    assert kinds.count("Relu") == 3
    expected = float_logits(quantized, CALIBRATION)
    error = real_logits(read_qdq(quantized), CALIBRATION) - expected
    assert np.sqrt((error**2).mean()) < 0.15 * expected.std()


def other_net(case: str) -> bytes:
    """A network with an operation besides those of a residual network."""
    net = Net()
    x = net.node("Relu", net.node("Conv", "frames", weights(4, 1, 3, 3), weights(4), pads=[0, 1, 0, 1]))
    if case == "dense":
        return net.finish(net.node("Gemm", net.node("Flatten", x), weights(3, 240), weights(3), transB=1))
    if case == "product":
        return net.finish(net.node("MatMul", net.node("Reshape", x, np.array([1, -1])), weights(240, 3)))
    if case == "linear":
        return net.finish(net.node("Gemm", net.node("Flatten", "frames"), weights(72, 3), weights(3)))
    if case == "padded":
        x = net.node("Conv", x, weights(4, 4, 3, 3), weights(4), pads=[1, 1, 1, 1])
        return net.finish(net.head(x, 4, 10, 6))
    if case == "max":
        x = net.node("MaxPool", x, kernel_shape=[2, 3], strides=[2, 2], pads=[0, 1, 0, 1])
        return net.finish(net.head(x, 4, 5, 3))
    if case == "average":
        x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        return net.finish(net.head(x, 4, 5, 3))
    if case == "global":
        x = net.node("GlobalAveragePool", x)
    if case == "concat":
        y = net.node("Conv", x, weights(2, 4, 1, 1), weights(2))
        return net.finish(net.head(net.node("Concat", x, y, axis=1), 6, 10, 6))
    return net.finish(net.node("Flatten", net.node("Conv", x, weights(3, 4, 1, 1))))


@pytest.mark.parametrize("case", ["dense", "product", "linear", "padded", "max", "average", "global", "concat"])
def test_other_operations_answer_like_the_float_file_and_step(case: str) -> None:
    model = other_net(case)
    graph = quantize(model, CALIBRATION)
    expected = float_logits(model, CALIBRATION)
    error = real_logits(graph, CALIBRATION) - expected
    assert np.sqrt((error**2).mean()) < 0.15 * expected.std()
    if case == "padded":
        assert "the_conv2 is padded along time by (1, 1) columns, but a stream has no edge to pad" in graph.window_only
        with pytest.raises(ExportError, match="The network has no step model: the_conv2 is padded along time"):
            step_graph(graph, 4)
        return
    stream = np.random.default_rng(0).integers(-128, 128, (24, 6, 1)).astype(np.int8)
    logits = run(graph, np.stack([stream[at : at + 12] for at in (0, 4, 8, 12)]))
    step = step_graph(graph, 4)
    for engine, write in (("onnxruntime", onnx_writer.write), ("litert", tflite_writer.write_with_variables)):
        runner = load_engine(engine)(write(step), 1)
        pieces = [encode(stream[None, at : at + 4], runner.inputs[0]) for at in range(0, 24, 4)]
        found = decode(np.stack([runner.advance(piece)[0].copy() for piece in pieces]), runner.outputs[0])
        np.testing.assert_array_equal(found[2:], logits)


def refusal(model: bytes, calibration: NDArray[np.float32] = CALIBRATION) -> str:
    with pytest.raises(ExportError) as caught:
        quantize(model, calibration)
    return str(caught.value)


def test_an_lstm_is_refused_by_name() -> None:
    net = Net()
    x = net.node("Squeeze", net.node("Conv", "frames", weights(4, 1, 1, 6)), np.array([3]))
    x = net.node("Transpose", x, perm=[2, 0, 1])
    x = net.node("LSTM", x, weights(1, 20, 4), weights(1, 20, 5), hidden_size=5)
    assert refusal(net.finish(x, (10, 1, 1, 5))) == (
        "The LSTM 'the_lstm3' cannot be exported: recurrent networks are not supported, replace it with convolutions."
    )


def build(case: str) -> bytes:
    net = Net()
    x = net.node("Conv", "frames", weights(4, 1, 3, 3), pads=[0, 1, 0, 1])
    if case == "softmax":
        return net.finish(net.node("Softmax", net.node("Flatten", x)), (1, 240))
    if case == "mean":
        return net.finish(net.node("ReduceMean", x, axes=[2, 3], keepdims=0), (1, 4))
    if case == "average":
        x = net.node("AveragePool", x, kernel_shape=[3, 3], pads=[0, 1, 0, 1])
        return net.finish(net.head(x, 4, 8, 6))
    if case == "dilation":
        return net.finish(net.head(net.node("Conv", x, weights(4, 4, 3, 1), dilations=[2, 1]), 4, 6, 6))
    if case == "groups":
        return net.finish(net.head(net.node("Conv", x, weights(4, 2, 3, 1), group=2), 4, 8, 6))
    if case == "crop":
        cropped = net.node("Slice", x, np.array([1]), np.array([5]), np.array([3]))
        return net.finish(net.head(cropped, 4, 10, 4))
    if case == "unfinished":
        return net.finish(x, (1, 4, 10, 6))
    assert case == "dynamic"
    return net.finish(net.head(x, 4, 10, 6), shape=(1, 1, "frames", 6))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("softmax", "The Softmax 'the_softmax2' cannot be exported: end the network at the logits"),
        ("mean", "The ReduceMean 'the_reducemean1' cannot be exported: quantizers leave it in float"),
        ("average", "is padded; remove the padding, since means at the edges would be of fewer values"),
        ("dilation", "is dilated by [2, 1]"),
        ("groups", "has 2 groups of 4 channels"),
        ("crop", "slices the axes [3]"),
        ("unfinished", "ends with (10, 6, 4)"),
        ("dynamic", "expected (n, frames, bins, channels)"),
    ],
)
def test_unsupported_operations_are_refused_by_name(case: str, words: str) -> None:
    assert words in refusal(build(case))


def test_a_float_file_is_not_a_quantized_one() -> None:
    with pytest.raises(ExportError, match="expected a QuantizeLinear"):
        read_qdq(residual_net())


@pytest.mark.parametrize("content", [b"", b"not onnx", residual_net()[:1000]])
def test_what_is_not_onnx_is_refused(content: bytes) -> None:
    with pytest.raises(ExportError, match="not a valid ONNX file"):
        read_qdq(content)


def test_a_wrong_call_is_refused() -> None:
    assert "(8, 12, 5, 1)" in refusal(residual_net(), CALIBRATION[:, :, :5])
    with pytest.raises(ExportError, match="choose from minmax, percentile, entropy"):
        quantize(residual_net(), CALIBRATION, "kl")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's exporter that folds batch normalisation
def test_a_torch_resnet_goes_all_the_way() -> None:
    torch = pytest.importorskip("torch", reason="torch makes the network of this test: pip install 'edge-res[train]'")
    from edge_res.export.nets.residual import ResNet, ResNetShape

    torch.manual_seed(0)
    net = ResNet(ResNetShape(depth=8, bins=16, channels=2, labels=5, frames=50, widths=(8, 12, 16)))
    x = torch.randn(24, 2, 50, 16)
    with torch.no_grad():
        for _ in range(20):  # so that batch normalisation has statistics
            net(x)
        expected = net.eval()(x).numpy()
    file = io.BytesIO()
    torch.onnx.export(net, (x[:1],), file, input_names=["frames"], output_names=["logits"], dynamo=False)
    frames = np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1))
    graph = quantize(file.getvalue(), frames)
    assert sum(isinstance(op, Add) for op in graph.ops) == 3
    error = real_logits(graph, frames) - expected
    assert np.sqrt((error**2).mean()) < 0.15 * (expected - expected.mean(0)).std()


def test_a_file_for_tensorrt_keeps_its_rules_and_the_answers() -> None:
    model = residual_net()
    found = symmetric(model, CALIBRATION)
    expected = float_logits(model, CALIBRATION)
    error = float_logits(found, CALIBRATION) - expected
    assert np.sqrt((error**2).mean()) < 0.15 * expected.std()
    kinds = [node.op_type for node in onnx.load_from_string(found).graph.node]
    assert kinds.count("QuantizeLinear") >= 7
    check_tensorrt(found)


def test_other_files_break_tensorrts_rules() -> None:
    with pytest.raises(ExportError, match=r"has u?int\d+ zero points .* TensorRT takes only int8 and 0"):
        check_tensorrt(quantize_onnx(residual_net(), CALIBRATION))
