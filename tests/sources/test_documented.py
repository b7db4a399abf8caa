"""The senders in docs/how-to/sensors.md: what they send is understood."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_res.sources import Wanted
from edge_res.sources.framing import Decoder, Frame
from edge_res.sources.udp import Udp
from tests.edgeres import REPOSITORY
from tests.sources.board import Heard, signal


def block(mark: str) -> str:
    """The fenced block behind a mark."""
    text = (REPOSITORY / "docs" / "how-to" / "sensors.md").read_text(encoding="utf-8")
    return text.partition(f"<!-- {mark} -->\n```")[2].partition("\n")[2].partition("\n```\n")[0]


def check(frames: list[Frame], count: int) -> None:
    assert [frame.number for frame in frames] == list(range(0, count, 10))
    for frame in frames:
        np.testing.assert_array_equal(frame.samples, signal(frame.number, 10, 3))


def test_micropython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "ticks_us", itertools.count(0, 100).__next__, raising=False)
    monkeypatch.setattr(time, "ticks_add", lambda at, us: at + us, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda one, other: one - other, raising=False)
    sender: dict[str, Any] = {}
    exec(block("micropython"), sender)
    rows = iter(signal(0, 500, 3).tolist())
    sent = bytearray()
    with pytest.raises(StopIteration):
        sender["run"](rows.__next__, sent.extend)
    check(list(Decoder().push(bytes(sent))), 500)


ARDUINO = """
#include <cstdint>
#include <cstdio>
struct { void write(const void *data, size_t size) { fwrite(data, 1, size, stdout); } } Serial;
BLOCK
int main() {
  int16_t samples[30];
  for (uint32_t at = 0; at < 500; at += 10) {
    for (uint32_t i = at; i < at + 10; i++) {
      int16_t *row = samples + 3 * (i - at);
      row[0] = i % 32768; row[1] = (i * 7 + 1) % 1000; row[2] = (i * 7 + 2) % 1000;
    }
    sendFrame(at, samples, 10, 3);
  }
}
"""


@pytest.mark.may_skip_in_ci("it needs a C++ compiler")
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
def test_arduino(tmp_path: Path) -> None:
    program = tmp_path / "sketch.cpp"
    program.write_text(ARDUINO.replace("BLOCK", block("arduino")), encoding="utf-8")
    subprocess.run(["g++", "-Wall", "-Werror", "-o", tmp_path / "sketch", program], check=True)
    check(list(Decoder().push(subprocess.run([tmp_path / "sketch"], capture_output=True, check=True).stdout)), 500)


def test_python_by_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sender: dict[str, Any] = {}
    exec(block("udp"), sender)
    with Udp(f"udp://127.0.0.1:{port}?rate=1000", Wanted(1000, 3, 0.08)) as source:
        heard = Heard(source)
        sender["send"]((signal(at, 10, 3).ravel().tolist() for at in range(0, 500, 10)), "127.0.0.1", port)
        heard.until(lambda heard: heard.received == 500)
    assert heard.lost == 0
    heard.check_signal()
