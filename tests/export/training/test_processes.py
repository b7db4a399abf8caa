"""Where a process of a training computes. What only a GPU shows is in tests/hardware/test_gpu.py."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import ConfigError
from edge_res.export.training import trainer
from edge_res.export.training.processes import device_of
from edge_res.export.training.settings import TrainSettings
from tests.export.tones import write_corpus


def test_a_process_beyond_the_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="Process 3 on this machine has no GPU of its own, as there are 2; start one"):
        device_of(2)


def test_too_little_memory_of_a_gpu_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(trainer, "learn_epoch", full)
    settings = TrainSettings(labels=("low", "high"), frames=40, batch=16)
    with pytest.raises(ConfigError, match="memory is too small for a batch of 16; choose a smaller --batch"):
        trainer.train(write_corpus(tmp_path), tmp_path / "run", settings, lambda _: None, lambda _: None)
