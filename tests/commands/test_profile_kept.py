"""`edgeres profile`: what of a bundle is measured, and what is kept of it whatever happens to stdout."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from edge_res.commands.profile_here import ProfileOptions, tasks_of
from edge_res.model.bundle import read_bundle, write_bundle
from tests.edgeres import edgeres, sentence

SHORT = ("--threads", "1", "--seconds", "0.1", "--tries", "1")
OPTIONS = ProfileOptions(
    model="tiny", engines=["litert"], modes=["step"], threads=[1], seconds=1.0, tries=1, as_json=False, html=None,
    save=False, device=None,
)  # fmt: skip


def without(folder: Path, *members: str) -> Path:
    """A bundle that does not hold all that `tiny` does, as an export may leave it."""
    path, bundle = folder / "part.edgeres", read_bundle("tiny")
    write_bundle(path, replace(bundle, files={k: v for k, v in bundle.files.items() if k not in members}))
    return path


def test_a_bundle_that_holds_nothing_of_what_was_asked_for_is_one_sentence(tmp_path: Path) -> None:
    part = without(tmp_path, "step.tflite", "window.tflite")
    for model in (str(part), f"tiny+{part}"):
        refused = edgeres("profile", model, "--engine", "litert", *SHORT)
        assert refused.returncode == 6
        assert "has no step.tflite, only golden.npz, step.onnx, window.onnx" in sentence(refused)


def test_of_what_was_asked_for_that_which_the_bundle_holds_is_measured(tmp_path: Path) -> None:
    asked = replace(OPTIONS, engines=["litert", "onnxruntime"])
    tasks = tasks_of(asked, [read_bundle(without(tmp_path, "step.tflite"))])
    assert [(task.engine, task.mode) for task in tasks] == [("onnxruntime", "step")]


def test_what_was_asked_for_twice_is_measured_once() -> None:
    asked = replace(OPTIONS, engines=["litert"] * 2, modes=["step"] * 2, threads=[2, 1, 2])
    tasks = tasks_of(asked, [read_bundle("tiny")])
    assert [(task.engine, task.mode, task.threads) for task in tasks] == [("litert", "step", 2), ("litert", "step", 1)]


def test_a_configuration_that_cannot_be_added_to_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "edgeres").mkdir()
    (tmp_path / "edgeres" / "config.toml").write_text("= 1\n")
    refused = edgeres("profile", "tiny", "--save", env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert refused.returncode == 2
    assert "config.toml is not TOML" in sentence(refused)


STABLE = """
import edge_res.commands.profile_here as profile
from edge_res.profiling.recommend import Recommendation
profile.recommend = lambda rows, hop_s: (Recommendation("litert", "step", 1, "a test"), "")
from edge_res.cli import main
main()
"""


def test_what_was_measured_is_kept_also_where_stdout_takes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    asked = ("profile", "tiny", "--engine", "litert", "--mode", "step", *SHORT, "--save", "--html", str(page))
    for reader, code in (("/dev/full", 10), (None, 0)):
        if reader is None:
            back, out = os.pipe()
            os.close(back)  # as `| head -1` does, once it has its line
        else:
            out = os.open(reader, os.O_WRONLY)
        done = subprocess.run(
            [sys.executable, "-c", STABLE, *asked], stdout=out, stderr=subprocess.PIPE, check=False,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
        )  # fmt: skip
        os.close(out)
        assert done.returncode == code, done.stderr.decode()
        assert "Traceback" not in done.stderr.decode()
        assert 'reason = "a test"' in (tmp_path / "edgeres" / "config.toml").read_text()
        assert "<svg" in page.read_text()
        page.unlink()
        (tmp_path / "edgeres" / "config.toml").unlink()
