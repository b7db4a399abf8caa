"""Ports that cannot be opened, and addresses that cannot be meant: a sentence each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_res.errors import ConfigError, EdgeResError, SignalError, SourceError
from edge_res.sources import Wanted, open_source
from edge_res.sources.serial_line import SerialLine
from tests.edgeres import edgeres, sentence
from tests.sources.board import Board

WANT = Wanted(16000, 3, 0.08)
NOBODY = 65534


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path / "sensor")
    board.plug()
    yield board
    board.close()


def refusal(kind: type[EdgeResError], text: str, want: Wanted = WANT) -> str:
    with pytest.raises(kind) as caught:
        open_source(text, want)
    assert type(caught.value) is kind
    told = str(caught.value)
    assert told.endswith(".")
    assert ". " not in told
    return told


ADDRESSES = {
    "serial:": "serial: names no device; give one as in serial:/dev/ttyUSB0?rate=1000&channels=3.",
    "serial:PATH": "serial:PATH does not say its sample rate; give it in Hz as in "
    "serial:/dev/ttyUSB0?rate=1000&channels=3, or use rate=measure.",
    "serial:PATH?rate=1000&parity=even": "serial:PATH?rate=1000&parity=even has the unknown option 'parity'; its "
    "options are channels, rate, unit, scale, alarm, baud, format, as in serial:/dev/ttyUSB0?rate=1000&channels=3.",
    "serial:PATH?rate=1000&baud=fast": "serial:PATH?rate=1000&baud=fast says baud=fast; expected an integer.",
    "serial:PATH?rate=1000&baud=-9600": "serial:PATH says baud=-9600; try 9600, 115200, 921600 or 1000000.",
    "serial:PATH?rate=1000&baud=99999999999": "PATH does not support baud=99999999999; try 9600, 115200, 921600 "
    "or 1000000.",
    "serial:PATH?rate=1000&format=xml": "serial:PATH says format=xml; expected csv or binary.",
    "serial:PATH?rate=1000&channels=9": "serial:PATH says channels=9; expected 1 to 8.",
    "serial:PATH?rate=1000&channels=0": "serial:PATH does not say how many channels it has; give them as in "
    "serial:/dev/ttyUSB0?rate=1000&channels=3.",
    "serial:PATH?rate=1000&scale=inf": "serial:PATH says scale=inf; expected a number other than 0.",
    "serial:PATH?rate=1000&alarm=-1": "serial:PATH says alarm=-1; expected a number of seconds above 0.",
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_invalid_addresses_are_refused(board: Board, text: str) -> None:
    path = str(board.path)
    assert refusal(ConfigError, text.replace("PATH", path)) == ADDRESSES[text].replace("PATH", path)


def test_channels_are_the_models_unless_some_are_picked(board: Board) -> None:
    text = f"serial:{board.path}?rate=1000"
    assert refusal(SignalError, text + "&channels=2") == (
        f"serial:{board.path} has 2 channels, but the model expects 3; pick some with --channel, or use a "
        "model made for this sensor."
    )
    assert refusal(ConfigError, text, Wanted(16000, None, 0.08)).startswith(
        f"serial:{board.path} does not say how many channels it has"
    )
    source = open_source(text + "&channels=2", Wanted(16000, None, 0.08))
    assert source.channels == 2
    source.__exit__(None, None, None)


def test_a_missing_device_and_files_that_are_not_devices(tmp_path: Path) -> None:
    told = refusal(SourceError, f"serial:{tmp_path}/ttyUSB7?rate=1000")
    assert told.startswith(f"There is no device {tmp_path}/ttyUSB7; ")
    (tmp_path / "file").write_bytes(b"1,2,3\n")
    for path in (tmp_path / "file", Path("/dev/null")):
        told = refusal(SourceError, f"serial:{path}?rate=1000")
        assert told == f"{path} is not a serial port; give one as in serial:/dev/ttyUSB0?rate=1000."


def test_a_device_in_use_is_reported_with_its_user(board: Board) -> None:
    code = "import fcntl, sys, time; f = open(sys.argv[1], 'rb+', buffering=0); fcntl.flock(f, fcntl.LOCK_EX)"
    code += "; print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(board.path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        told = refusal(SourceError, f"serial:{board.path}?rate=1000")
    finally:
        holder.kill()
        holder.communicate()
    assert told.startswith(f"{board.path} is in use by ")
    assert told.endswith(f" (process {holder.pid}); stop that first.")


def test_another_reader_without_a_lock_is_reported(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    code = "import sys, time; f = open(sys.argv[1], 'rb+', buffering=0); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(board.path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        open_source(f"serial:{board.path}?rate=1000", WANT).__exit__(None, None, None)
    finally:
        holder.kill()
        holder.communicate()
    (told,) = caplog.messages
    assert told.startswith(f"{board.path} is also read by ")
    assert told.endswith(f" (process {holder.pid}), and each takes bytes from the other; stop one of them.")


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read everything; somebody else takes its place."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("mode", "group", "way_out"),
    [
        (0o060, 20, "join its group with `sudo usermod -aG dialout $USER` and log in again"),
        (0o000, 20, "its group dialout has no access either; give it to a group that you are in with a udev rule"),
    ],
    ids=["group", "nobody"],
)  # fmt: skip
def test_permission_denied_says_which_group_to_join(board: Board, mode: int, group: int, way_out: str) -> None:
    open_source(f"serial:{board.path}?rate=1000", WANT).__exit__(None, None, None)  # what is imported late is there
    device = board.path.resolve()
    if os.geteuid() == 0:
        os.chown(device, 0, group)
        link = Path(f"/tmp/edgeres-test-{os.getpid()}")  # pytest's own folder is closed to others
    else:
        link = board.path.with_name("link")
        way_out = way_out.replace("dialout $USER", f"{device.group()} $USER").replace(
            "its group dialout", f"its group {device.group()}"
        )
    device.chmod(mode)
    link.symlink_to(device)
    try:
        with unprivileged():
            told = refusal(SourceError, f"serial:{link}?rate=1000")
    finally:
        link.unlink()
    assert told == f"{link} cannot be read: permission denied; {way_out}."


def test_without_pyserial_it_says_how_to_get_it() -> None:
    result = edgeres("listen", "serial:/dev/null?rate=16000", before="import sys; sys.modules['serial'] = None")
    assert result.returncode == 3
    assert sentence(result) == (
        "A serial source requires the package pyserial, which is not installed; install it with "
        "`pip install 'edge-res[serial]'`."
    )


def test_nothing_is_left_open_by_what_failed(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    import edge_res.sources.sensor as module

    monkeypatch.setattr(module, "FIRST_S", 0.1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(SourceError) as caught:
        SerialLine(f"serial:{board.path}?rate=measure", WANT)
    assert len(list(Path("/proc/self/fd").iterdir())) == before, caught  # it holds what it was raised in
