"""Trainings on a GPU of NVIDIA's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import ConfigError
from edge_res.export.training.settings import TrainSettings
from edge_res.export.training.trainer import Progress, train
from tests.export.tones import write_corpus

pytestmark = [
    pytest.mark.may_skip_in_ci("needs a GPU"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of NVIDIA's and a PyTorch for it"),
]
SETTINGS = TrainSettings(labels=("low", "high"), frames=40, batch=16, epochs=8)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("tones"))


def weights(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(run / "checkpoint.pt", weights_only=True)
    return found


def nothing(_: object) -> None:
    pass


def stop(step: Progress) -> None:
    """Half-way."""
    if step.epoch == 4:
        raise KeyboardInterrupt


def test_it_learns_says_where_and_leaves_a_run_for_machines_without_one(corpus: Path, tmp_path: Path) -> None:
    said: list[str] = []
    run = train(corpus, tmp_path / "run", SETTINGS, nothing, said.append)
    assert run is not None
    assert run.metrics["accuracy"] >= 0.9
    assert f"Learning on {torch.cuda.get_device_name()}." in said
    assert {tensor.device.type for tensor in weights(tmp_path / "run").values()} == {"cpu"}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_training_ends_in_the_same_weights(
    corpus: Path, tmp_path: Path, precision: Literal["float32", "bfloat16"]
) -> None:
    settings = replace(SETTINGS, precision=precision)

    train(corpus, tmp_path / "whole", settings, nothing, nothing)
    with pytest.raises(KeyboardInterrupt):
        train(corpus, tmp_path / "parts", settings, stop, nothing)
    train(corpus, tmp_path / "parts", settings, nothing, nothing, resume=True)
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_training_begun_on_the_gpu_goes_on_without_one(corpus: Path, tmp_path: Path) -> None:
    asked = ("--labels", "low,high", "--frames", "40", "--batch", "16", "--epochs", "8", "--out", str(tmp_path / "run"))
    with pytest.raises(KeyboardInterrupt):
        train(corpus, tmp_path / "run", SETTINGS, stop, nothing)
    command = [sys.executable, "-m", "edge_res.cli", "train", str(corpus), *asked, "--resume"]
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, capture_output=True, text=True, env=hidden, timeout=300)
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_bytes())["accuracy"] >= 0.9


def test_a_teacher_teaches_there(corpus: Path, tmp_path: Path) -> None:
    train(corpus, tmp_path / "teacher", SETTINGS, nothing, nothing)
    learning = replace(SETTINGS, teacher=str(tmp_path / "teacher"))
    run = train(corpus, tmp_path / "student", learning, nothing, nothing)
    assert run is not None
    assert run.metrics["accuracy"] >= 0.9


def test_more_processes_than_gpus_are_one_sentence(corpus: Path, tmp_path: Path) -> None:
    count = torch.cuda.device_count() + 1
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "--master-port", "0",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "edge_res.cli",
        "train", str(corpus), "--labels", "low,high", "--frames", "40", "--batch", "16", "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode != 0
    assert f"Process {count} of this machine has no GPU of its own, it has {count - 1};" in result.stderr


def test_too_little_memory_is_one_sentence(corpus: Path, tmp_path: Path) -> None:
    torch.cuda.set_per_process_memory_fraction(1e-5)
    torch.cuda.empty_cache()
    try:
        with pytest.raises(ConfigError, match="memory is too small for a batch of 16; choose a smaller --batch"):
            train(corpus, tmp_path / "run", SETTINGS, nothing, nothing)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
