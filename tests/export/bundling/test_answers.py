"""A bundle is compared with the file that it was made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import ExportError
from edge_res.export.bundling import packaging
from edge_res.export.bundling.answers import agreement, float_logits
from edge_res.export.bundling.material import Material
from edge_res.export.formats.onnx_reader import read_qdq
from edge_res.export.formats.quantize import quantize_onnx
from edge_res.export.int8.graph import Conv, Graph
from edge_res.model.bundle import read_bundle
from tests.export.bundling.test_packaging import material, network

__all__ = ["material", "network"]  # fixtures


def build(material: Material, out: Path, target: str | None = None) -> dict[str, Any]:
    packaging.build(material, out, "test", "minmax", target, lambda text: None)
    return dict(read_bundle(out).manifest.metrics)


def test_agreement_is_counted_in_labels_and_logits() -> None:
    given = np.array([[1, 2], [3, -4], [0, 1]], np.float32)
    found = np.array([[1.5, 2], [3, -4.25], [1, 0]], np.float32)
    assert agreement(given, found) == {
        "windows": 3, "same_label": pytest.approx(2 / 3), "largest_difference": 1.0, "largest_logit": 4.0
    }  # fmt: skip


def test_a_foreign_float_network_is_compared_with_its_bundle(material: Material, tmp_path: Path) -> None:
    metrics = build(material, tmp_path / "x.edgeres", "tensorrt")
    for key in ("agreement_int8", "agreement_symmetric"):
        alike = metrics[key]
        assert alike["windows"] == len(material.calibration)
        assert alike["same_label"] > 0.7
        assert 0 < alike["largest_difference"] < 0.3 * alike["largest_logit"]
    largest = np.abs(float_logits(material.network, material.calibration)).max()
    assert metrics["agreement_int8"]["largest_logit"] == pytest.approx(largest)


def test_a_quantized_file_that_is_misread_is_refused(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantized = replace(material, network=quantize_onnx(material.network, material.calibration))
    metrics = build(quantized, tmp_path / "x.edgeres")
    assert metrics["agreement_int8"]["largest_difference"] < 4 * metrics["agreement_int8"]["step"]

    def misread(model: bytes) -> Graph:
        """With the weights of the last operation in the order of another."""
        graph = read_qdq(model)
        *ops, dense = graph.ops
        assert isinstance(dense, Conv)
        return replace(graph, ops=(*ops, replace(dense, weight=np.ascontiguousarray(dense.weight[::-1]))))

    monkeypatch.setattr(packaging, "read_qdq", misread)
    with pytest.raises(
        ExportError, match=r"Logit \d of calibration window \d+ is .* steps of the output's scale apart"
    ):
        build(quantized, tmp_path / "y.edgeres")
    assert not (tmp_path / "y.edgeres").exists()


def test_what_onnx_runtime_cannot_run_is_refused(material: Material) -> None:
    model = onnx.load_from_string(material.network)
    model.graph.node[0].domain = "elsewhere"
    model.opset_import.append(onnx.helper.make_opsetid("elsewhere", 1))
    with pytest.raises(ExportError, match="ONNX Runtime cannot run the network: "):
        float_logits(model.SerializeToString(), material.calibration)
