"""Trainings that are killed, that share their work, that run out of disk, and that stop early."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the tests of export need PyTorch: pip install '.[train]'")

from edge_res.errors import ConfigError, DataError
from edge_res.export.training import trainer
from edge_res.export.training.learning import batches
from edge_res.export.training.preparation import prepare
from edge_res.export.training.processes import Process
from edge_res.export.training.settings import TrainSettings
from tests.edgeres import CLIPS, REPOSITORY, edgeres, edgeres_here, sentence
from tests.export.tones import write_corpus

TRAIN = ("--labels", "low,high", "--frames", "40", "--batch", "16")
FULL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("tones"), groups=24)


def same_weights(one: Path, two: Path) -> bool:
    first, second = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (one, two))
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_training_resumes_to_the_same_weights(corpus: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    asked = ("train", corpus, *TRAIN, "--epochs", "40", "--out")
    assert edgeres(*asked, whole).returncode == 0

    command = [sys.executable, "-m", "edge_res.cli", *map(str, (*asked, killed))]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        for _ in range(1200):
            if (killed / "state.pt").exists():
                break
            time.sleep(0.05)
        time.sleep(0.4)  # somewhere in an epoch
        process.send_signal(signal.SIGKILL)
    assert not (killed / "run.json").exists()
    assert len(torch.load(killed / "state.pt", weights_only=True)["history"]) < 40

    result = edgeres_here(*asked, killed)
    assert result.returncode == 2
    assert "holds a training that is not finished; continue it with --resume" in sentence(result)
    result = edgeres_here("train", corpus, *TRAIN, "--epochs", "41", "--out", killed, "--resume")
    assert "started with other settings (epochs)" in sentence(result)
    assert "is not finished" in sentence(edgeres_here("export", killed, "-o", tmp_path / "x.edgeres"))

    assert edgeres(*asked, killed, "--resume").returncode == 0
    assert same_weights(whole, killed)
    histories = [json.loads((folder / "metrics.json").read_bytes())["history"] for folder in (whole, killed)]
    assert histories[0] == histories[1]
    assert not (killed / "state.pt").exists()


def test_ctrl_c_prints_one_sentence_that_says_how_to_continue(corpus: Path, tmp_path: Path) -> None:
    asked = ("train", corpus, *TRAIN, "--epochs", "500", "--out", tmp_path / "run")
    command = [sys.executable, "-m", "edge_res.cli", *map(str, asked)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        for _ in range(2400):
            if (tmp_path / "run" / "state.pt").exists():
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # the processes that make windows get it, too
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told.decode()
    assert told.decode().splitlines()[-1] == "edgeres: stopped; the same command with --resume continues"
    assert "Traceback" not in told.decode()


def test_a_full_disk_leaves_the_last_checkpoint_whole(corpus: Path, tmp_path: Path) -> None:
    asked = ("train", corpus, *TRAIN, "--epochs", "2", "--out", tmp_path / "run")
    result = edgeres(*asked, before=FULL_DISK)
    assert result.returncode == 8
    told = sentence(result)
    assert "state.pt cannot be written: File too large" in told
    assert "make room and continue with --resume" in told
    assert not list((tmp_path / "run").glob("*"))
    assert edgeres(*asked, "--resume").returncode == 0


def test_two_processes_share_a_training(corpus: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "edge_res.cli",
        *map(str, ("train", corpus, *TRAIN, "--epochs", "20", "--out", tmp_path / "two")),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, timeout=300, env=environment, cwd=CLIPS)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stderr.decode().count("20: loss") == 1  # only one of them reports
    two = json.loads((tmp_path / "two" / "metrics.json").read_bytes())
    assert edgeres("train", corpus, *TRAIN, "--epochs", "20", "--out", tmp_path / "one").returncode == 0
    one = json.loads((tmp_path / "one" / "metrics.json").read_bytes())
    assert two["accuracy"] >= 0.9
    assert one["accuracy"] >= 0.9
    assert max(one["interval"][0], two["interval"][0]) <= min(one["interval"][1], two["interval"][1])
    assert not same_weights(tmp_path / "one", tmp_path / "two")  # batch statistics are of half a batch


def test_two_machines_that_share_no_folder_resume_to_the_same_weights(corpus: Path, tmp_path: Path) -> None:
    def started(run: str, *options: str) -> list[subprocess.Popen[bytes]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "edge_res.cli", "train", str(corpus), *TRAIN, "--epochs", "4", "--out", run]
        machines = []
        for number in range(2):
            (tmp_path / str(number)).mkdir(exist_ok=True)
            environment = {
                "RANK": str(number), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY),
            }  # fmt: skip
            machines.append(
                subprocess.Popen(
                    [*command, *options], env={**os.environ, **environment}, cwd=tmp_path / str(number),
                    stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
        return machines

    first = tmp_path / "0"
    assert [machine.wait(120) for machine in started("whole")] == [0, 0]
    killed = started("killed")
    for _ in range(1200):
        if (first / "killed" / "state.pt").exists():
            break
        time.sleep(0.05)
    for machine in killed:
        machine.kill()
        machine.wait()
    assert not (first / "killed" / "run.json").exists()
    assert [machine.wait(120) for machine in started("killed", "--resume")] == [0, 0]
    assert same_weights(first / "whole", first / "killed")
    assert not list((tmp_path / "1").iterdir())


def test_a_run_is_finished_only_with_its_report(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DataError("No space for the report.")

    asked = ("train", corpus, *TRAIN, "--epochs", "1", "--out", tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "write_report", full)
        assert edgeres_here(*asked).returncode == 8
    assert edgeres_here(*asked, "--resume").returncode == 0
    assert (tmp_path / "run" / "report.html").exists()


def test_a_batch_that_cannot_be_shared_is_refused(corpus: Path, tmp_path: Path) -> None:
    shares = [Process(number, 4, torch.device("cpu")).share(32) for number in range(4)]
    assert [list(range(32))[share] for share in shares] == [list(range(8 * i, 8 * i + 8)) for i in range(4)]
    with pytest.raises(ConfigError, match="A batch of 30 cannot be shared by 4 processes"):
        Process(0, 4, torch.device("cpu")).share(30)


def test_patience_ends_a_training_and_a_resumed_one_in_the_same_epoch(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    asked = ("train", corpus, *TRAIN, "--epochs", "60", "--patience", "3", "--out")
    assert edgeres_here(*asked, whole).returncode == 0
    history = [one["accuracy"] for one in json.loads((whole / "metrics.json").read_bytes())["history"]]
    assert len(history) < 60
    assert max(history[:-3]) >= max(history[-3:])

    def end(*_: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "finished", end)
        assert edgeres_here(*asked, killed).returncode == 9
    assert edgeres_here(*asked, killed, "--resume").returncode == 0
    assert same_weights(whole, killed)


def test_a_damaged_checkpoint_is_one_sentence(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"PK and no more")
    told = sentence(edgeres_here("train", corpus, *TRAIN, "--resume", "--out", tmp_path))
    assert "state.pt is damaged; remove it to start over" in told


def test_any_number_of_loaders_makes_the_same_batches(corpus: Path) -> None:
    settings = TrainSettings(labels=("low", "high"), frames=40, batch=16, epochs=3)
    prepared = prepare(corpus, settings, lambda _: None)
    each = len(prepared.epoch(settings, 0)) // 16

    def all_batches(loaders: int, begun: int) -> list[Any]:
        process = Process(0, 1, torch.device("cpu"))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Process, "loaders", lambda *_: loaders)
            return list(batches(prepared, settings, process, each, begun))

    one, two = all_batches(1, 1), all_batches(2, 0)
    assert len(one) == 2 * each
    assert len(two) == 3 * each
    for (images, labels), (others, their_labels) in zip(one, two[each:], strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, their_labels)
    second = prepared.epoch(settings, 1)
    assert torch.equal(one[0][0], torch.stack([second[i][0] for i in range(16)]))


def test_what_makes_windows_is_started_once_a_training(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    loader = torch.utils.data.DataLoader

    def counted(*arguments: Any, **named: Any) -> Any:
        started.append(named["num_workers"])
        return loader(*arguments, **named)

    monkeypatch.setattr(torch.utils.data, "DataLoader", counted)
    settings = TrainSettings(labels=("low", "high"), frames=40, batch=16, epochs=3)
    assert trainer.train(corpus, tmp_path / "run", settings, lambda _: None, lambda _: None) is not None
    assert len(started) == 1


def test_one_label_is_refused(corpus: Path, tmp_path: Path) -> None:
    rows = corpus.read_text().splitlines()
    alone = corpus.parent / "alone.csv"
    alone.write_text("\n".join(row for row in rows if ",low," in row or "label" in row) + "\n")
    told = sentence(edgeres_here("train", alone, *TRAIN[2:], "--out", tmp_path))
    assert "are low, so there is nothing to tell apart" in told


def test_a_teacher_must_fit(corpus: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    assert edgeres_here("train", corpus, *TRAIN, "--epochs", "1", "--out", teacher).returncode == 0
    told = sentence(edgeres_here("train", corpus, *TRAIN, "--seed", "1", "--teacher", teacher, "--out", tmp_path / "a"))
    assert "was trained on another split" in told
    told = sentence(
        edgeres_here("train", corpus, *TRAIN[:2], "--frames", "48", "--teacher", teacher, "--out", tmp_path / "b")
    )
    assert "has 40 frames" in told
    taught = edgeres_here("train", corpus, *TRAIN, "--epochs", "1", "--teacher", teacher, "--out", tmp_path / "c")
    assert taught.returncode == 0, taught.stderr.decode()
    assert not same_weights(teacher, tmp_path / "c")
