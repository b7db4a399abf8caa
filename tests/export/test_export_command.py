"""What `edgeres export` prints for a person."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_res.model.bundle import Bundle, read_bundle, write_bundle

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tests.edgeres import edgeres_here


def test_a_path_that_looks_like_markup_is_printed_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = read_bundle("default")

    def built(material: object, out: Path, *others: object) -> Bundle:
        write_bundle(out, bundle)
        return bundle

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edge_res.commands.export.gather", lambda model, **options: SimpleNamespace())
    monkeypatch.setattr("edge_res.export.bundling.packaging.build", built)
    done = edgeres_here("export", "x.onnx", "-o", "[bold].edgeres")
    assert done.stderr.startswith(b"edgeres: [bold].edgeres: ")
