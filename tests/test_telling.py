"""What goes to stderr: sentences, one a line, and nothing else depends on whether they get there."""

from __future__ import annotations

import ast
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console
from rich.live import Live

from edge_res.telling import LOGGER, plain, printed_on_stderr, say
from tests.edgeres import CLIPS, DEMO
from tests.test_structure import MODULES

CASES = [
    ("listen", str(DEMO), "--format", "jsonl"),
    ("listen", "unfinished.wav", "--format", "jsonl"),  # with a warning
    ("profile", "--compare", "none.json", "none.json"),
    ("info", "none.edgeres"),
    ("listen", "--no-such-option"),
    ("record", "/dev/null/clips", "-", "--label", "x"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, and a WAV file whose length was never written."""
    found = tmp_path_factory.mktemp("folder")
    for path in CLIPS.iterdir():
        (found / path.name).symlink_to(path)
    import soundfile

    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    soundfile.write(found / "unfinished.wav", samples[: 3 * rate_hz], rate_hz)
    whole = bytearray((found / "unfinished.wav").read_bytes())
    whole[4:8] = whole[40:44] = bytes(4)
    (found / "unfinished.wav").write_bytes(whole)
    return found


def run(arguments: tuple[str, ...], folder: Path, stderr: str) -> tuple[int, bytes]:
    """Exit code and stdout of `edgeres`, its stderr redirected as `stderr` says."""
    command = f'exec "$0" -m edge_res "$@" {stderr}'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("arguments", CASES, ids=lambda case: " ".join(case[:2]))
def test_a_stderr_that_is_lost_changes_neither_the_output_nor_the_exit_code(
    arguments: tuple[str, ...], folder: Path
) -> None:
    expected = run(arguments, folder, "2>told.txt")
    assert (folder / "told.txt").read_bytes()
    for lost in ("2>&-", "2>/dev/full", "2> >(exec true)", "2</dev/null"):  # closed, full, read by nobody, read-only
        assert run(arguments, folder, lost) == expected, lost


def test_a_file_that_is_opened_does_not_take_the_place_of_a_closed_stderr(tmp_path: Path) -> None:
    code = (
        "import os\nfrom edge_res.telling import printed_on_stderr\n"
        f"with printed_on_stderr(), open({str(tmp_path / 'data')!r}, 'w') as file:\n"
        "    os.write(2, b'of a C library')\n    print(file.fileno())"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "{code}" 2>&-', sys.executable], stdout=subprocess.PIPE, text=True
    )
    assert int(done.stdout) > 2
    assert (tmp_path / "data").read_bytes() == b""


def test_all_that_is_logged_has_one_form_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with printed_on_stderr():
        say("a mouse")
        LOGGER.warning("%s is %d", "cat", 2)
        logging.getLogger("edge_res").error("\x1b[31mred\nedgeres: forged\x9b\u202e")
    assert capsys.readouterr().err == (
        "edgeres: a mouse\nedgeres: cat is 2\nedgeres: \\x1b[31mred\\nedgeres: forged\\x9b\\u202e\n"
    )


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("يمين می\u200cشود – 100 %, 5\u00a0µs", "يمين می\u200cشود – 100 %, 5\u00a0µs"),
        ("\x00\t\r\x7f", "\\x00\\t\\r\\x7f"),
        (os.fsdecode(b"caf\xe9"), "caf\\udce9"),
        ("\u2028\u2066", "\\u2028\\u2066"),
    ],
)
def test_what_drives_a_terminal_is_escaped_and_nothing_else(text: str, printed: str) -> None:
    assert plain(text) == printed
    printed.encode()


def test_a_program_that_uses_the_package_decides_itself(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    say("not printed")
    with printed_on_stderr():
        pass
    say("not printed either")
    LOGGER.warning("nor this, with another handler there")
    assert capsys.readouterr().err == ""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="edge_res"):
        say("logged")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", "logged")]


class Failing(io.StringIO):
    """A stream that raises what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def closed() -> TextIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [closed, lambda: Failing(OSError(28, "full")), lambda: Failing(BrokenPipeError())])
def test_another_stream_in_its_place_may_fail(stream: Callable[[], TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    with printed_on_stderr():
        monkeypatch.setattr(sys, "stderr", stream())
        say("lost")
        monkeypatch.setattr(sys, "stderr", None)
        say("lost")
        monkeypatch.undo()


def test_a_live_display_keeps_sentences_above_it() -> None:
    screen = io.StringIO()
    with printed_on_stderr():
        before = sys.stderr
        with Live(
            "the display", console=Console(file=screen, force_terminal=True, width=60), auto_refresh=False
        ) as live:
            live.refresh()
            say("a sentence")
            assert screen.getvalue().endswith("the display")
        assert sys.stderr is before
    assert "edgeres: a sentence\n" in screen.getvalue()


# These do not log: `doctor` runs without any package, `there` on another machine, and `ssh` passes on what that says.
OWN_WAY = {"edge_res.doctor.__main__", "edge_res.remote.there", "edge_res.remote.ssh", "edge_res.telling"}


@pytest.mark.parametrize("module", sorted(set(MODULES) - OWN_WAY))
def test_nothing_else_writes_to_stderr(module: str) -> None:
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            written = [keyword.value for keyword in node.keywords if keyword.arg == "file"]
            written += [node.func.value] if isinstance(node.func, ast.Attribute) and node.func.attr == "write" else []
            assert "sys.stderr" not in map(ast.unparse, written)
