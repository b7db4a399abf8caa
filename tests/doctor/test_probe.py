"""Trying things in separate processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_res.doctor.probe import ask, reason
from tests.doctor.broken import find_first, install


def test_an_answer() -> None:
    assert ask("version", "json").value == {"version": "2.0.9"}


def test_a_failed_import_is_reported_by_its_last_line() -> None:
    answer = ask("version", "no_such_module")
    assert (answer.value, answer.why) == (None, "ModuleNotFoundError: No module named 'no_such_module'")


def test_what_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "hanging", "import time; time.sleep(60)")
    find_first(tmp_path, monkeypatch)
    answer = ask("version", "hanging", timeout_s=1.0)
    assert (answer.value, answer.hangs, answer.why) == (None, True, "no answer within 1 s")


def test_a_file_in_the_working_folder_is_not_taken_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert ask("version", "json").value == {"version": "2.0.9"}


@pytest.mark.parametrize(
    ("code", "stderr", "expected"),
    [
        (-4, "", "it was killed by SIGILL: it uses an instruction that this processor lacks"),
        (-9, "", "it was killed by SIGKILL: is the memory full?"),
        (-11, "noise", "it was killed by SIGSEGV"),
        (1, "Traceback\n  …\nOSError: sndfile library not found.\n\n", "OSError: sndfile library not found"),
        (3, "", "it ended with exit code 3"),
    ],
)
def test_reasons(code: int, stderr: str, expected: str) -> None:
    assert reason(code, stderr) == expected
