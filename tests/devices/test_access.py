"""Which processes have a device or a port open."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge_res.devices.access import by_whom, device_holders, udp_holders
from tests.sources.board import Board, wait_for


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for pid, name, links in [
        (12, "minicom", ["/dev/ttyUSB0"]),
        (7, "getty", ["/dev/tty1", "socket:[99]"]),
        (3, "x", []),
    ]:
        process = tmp_path / str(pid)
        (process / "fd").mkdir(parents=True)
        (process / "comm").write_text(f"{name}\n")
        for i, link in enumerate(links):
            (process / "fd" / str(i)).symlink_to(link)
    (tmp_path / "13").mkdir()  # has just ended
    (tmp_path / "self").mkdir()
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "udp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer\n"
        "  54: 0100007F:138D 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 99 2 0 0\n"
    )
    return tmp_path


def test_holders_are_named(proc: Path) -> None:
    assert device_holders("/dev/ttyUSB0", proc) == ["minicom (process 12)"]
    assert device_holders("/dev/ttyUSB1", proc) == []
    assert udp_holders(5005, proc) == ["getty (process 7)"]
    assert udp_holders(5006, proc) == []
    assert by_whom(["a (process 1)", "b (process 2)"]) == " by a (process 1) and b (process 2)"
    assert by_whom([]) == ""


HOLD = "import sys, time; held = open(sys.argv[1], 'rb+', buffering=0); print('held', flush=True); time.sleep(60)"
BIND = """
import socket, sys, time
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
held.bind(("127.0.0.1", int(sys.argv[1])))
print("held", flush=True)
time.sleep(60)
"""


def test_a_real_process_is_found(tmp_path: Path) -> None:
    board = Board(tmp_path / "sensor")
    board.plug()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for code, target in ((HOLD, str(board.path)), (BIND, str(port))):
        holder = subprocess.Popen([sys.executable, "-c", code, target], stdout=subprocess.PIPE)
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"held\n"
            (found,) = device_holders(target) if code == HOLD else udp_holders(port)
            assert found.endswith(f" (process {holder.pid})")
        finally:
            holder.kill()
            holder.communicate()
    board.close()
    wait_for(lambda: not udp_holders(port))
