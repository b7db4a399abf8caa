"""`edgeres listen`: what it does around the loop."""

from __future__ import annotations

import gc
import socket
from pathlib import Path

from tests.edgeres import DEMO, edgeres_here


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_what_was_opened_is_closed_where_another_source_cannot_be(tmp_path: Path) -> None:
    sensor = f"udp://127.0.0.1:{free_port()}?rate=16000&channels=1"
    for others in (["none.wav"], [DEMO, "--record", str(DEMO)], [DEMO, "--channel", "3"]):
        assert edgeres_here("listen", sensor, *others).returncode != 0
        gc.collect()  # an open socket warns then
