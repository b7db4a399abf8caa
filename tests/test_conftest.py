"""The rule of conftest.py, in a pytest of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_passes():
    pass

@pytest.mark.skip(reason="no pulse here")
def test_skips_before_it_runs():
    pass

def test_skips():
    pytest.skip("no portaudio here")

@pytest.mark.may_skip_in_ci("needs a board")
def test_may_skip():
    pytest.skip("no board here")

@pytest.mark.xfail(strict=True)
def test_known_to_fail():
    assert False
"""


def run(folder: Path, no_skip: str, workers: int) -> tuple[int, str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers -p no:cacheprovider\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", str(workers), str(folder)],
        cwd=folder,
        env={**os.environ, "EDGERES_NO_SKIP": no_skip, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("no_skip", "workers"), [("", 0), ("1", 0), ("1", 2)])
def test_a_skip_fails_only_in_ci(tmp_path: Path, no_skip: str, workers: int) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    status, said = run(tmp_path, no_skip, workers)
    if no_skip:
        assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 1 error" in said
        assert "and this did: Skipped: no portaudio here" in said
        assert "and this did: Skipped: no pulse here" in said
    else:
        assert "1 passed, 3 skipped, 1 xfailed" in said
    assert status == (1 if no_skip else 0)


@pytest.mark.parametrize(("no_skip", "workers"), [("", 0), ("1", 0), ("1", 2)])
def test_so_does_a_module_that_skips_while_it_is_collected(tmp_path: Path, no_skip: str, workers: int) -> None:
    (tmp_path / "test_good.py").write_text("def test_passes():\n    pass\n")
    (tmp_path / "test_some.py").write_text("import pytest\npytest.importorskip('no_such_torch')\n")
    status, said = run(tmp_path, no_skip, workers)
    if no_skip:
        assert status == (1 if workers else 2)
        assert "and this did: Skipped: could not import 'no_such_torch'" in said
    else:
        assert status == 0
        assert "1 passed, 1 skipped" in said


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("skip", ["", "@pytest.mark.skip(reason='no board here')\n"])
def test_the_exception_needs_its_reason(tmp_path: Path, skip: str, workers: int) -> None:
    (tmp_path / "test_some.py").write_text(
        f"import pytest\n@pytest.mark.may_skip_in_ci\n{skip}def test_skips():\n    pytest.skip('no board here')\n"
    )
    status, said = run(tmp_path, "1", workers)
    assert status == 1
    assert "may_skip_in_ci needs its reason" in said
