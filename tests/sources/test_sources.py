"""Selection by scheme and suffix; playing at real time."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_res.errors import ConfigError, SourceError
from edge_res.flow import Block
from edge_res.sources import SOURCES, TICK_S, Wanted, open_source
from edge_res.sources.adapters import Paced
from edge_res.sources.replay import open_session
from tests.sources.blocks import blocks_of

WANT = Wanted(16000, 1, block_s=0.08)


def test_each_kind_has_its_class() -> None:
    for kind, place in SOURCES.items():
        if kind != "mic:":  # its module needs nothing to be imported, but that is not what is tested here
            module, _, name = place.partition(":")
            assert getattr(importlib.import_module(module), name).__iter__


def test_nothing_is_imported_before_it_is_opened() -> None:
    code = (
        "import sys; import edge_res.sources.mic, edge_res.sources; "
        "assert not {'sounddevice', 'soundfile', 'soxr', 'edge_res.sources.files'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "text", ["nonsense:", "nonsense", "", "sound.mp3", "demo", "FOLDER", "usb:/dev/x", "mic", ":", "-:"]
)
def test_unknown_kinds_name_the_known(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_source(text, WANT)
    assert str(caught.value) == f"There is no kind of source for {text!r}; use one of {', '.join(SOURCES)}."


def test_a_file_may_have_a_colon_in_its_name() -> None:
    with pytest.raises(SourceError, match=r"^There is no file take:2\.WAV; check the path\.$"):
        open_source("take:2.WAV", WANT)


@pytest.mark.parametrize("opening", [open_source, open_session])
@pytest.mark.parametrize("text", ["mic:", "demo:", "a.wav", "a.npy", "a.csv", "a.edgerec", "mqtt://me:secret@broker/a"])
def test_the_format_of_samples_is_that_of_raw_pcm(text: str, opening: Callable[[str, Wanted], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        opening(text, Wanted(16000, 1, 0.08, pcm_format="s16le"))
    shown = text.replace("me:secret", "…")
    assert str(caught.value) == (
        f"--pcm-format is for raw PCM on stdin, the source -, and this is {shown}; leave it out."
    )


def test_blocks_are_at_least_a_sample() -> None:
    assert Wanted(16000, 1, 0.08).block_length(44100) == 3528
    assert Wanted(16000, 1, 0.08).block_length(1) == 1


class Clock:
    """Time that passes only by sleeping, and by what the test says."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.now_s += duration_s + 0.001  # always a little late, as sleep is


class Recorded:
    name, rate_hz, channels, unit = "recorded", 1000, 1, ""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.blocks = [
            Block(self.name, 100 * i + 50 * (i >= 100), np.zeros((100, 1), np.float32), 50 * (i == 100))
            for i in range(200)
        ]

    def __enter__(self) -> Recorded:
        self.did.append("open")
        return self

    def __exit__(self, *exception: object) -> None:
        self.did.append("close")

    def __iter__(self) -> Iterator[Block]:
        yield from self.blocks


def test_pacing_does_not_drift_and_a_late_reader_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, recorded = Clock(), Recorded()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    with Paced(recorded) as source:
        assert recorded.did == ["open"]
        assert (source.name, source.rate_hz, source.channels) == ("recorded", 1000, 1)
        for i, block in enumerate(blocks_of(source)):
            due_s = (block.at + 100) / 1000
            late_s = clock.now_s - 1000 - due_s
            assert 0 <= late_s < (0.002 if not 50 <= i < 53 else 0.26), i
            if i == 49:
                clock.now_s += 0.35  # busy
    assert recorded.did == ["open", "close"]
    assert min(clock.slept_s) == 0
    assert clock.now_s - 1000 == pytest.approx(20.05, abs=0.002)


def test_pacing_ticks_in_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    recorded = Recorded()
    recorded.blocks = [Block("recorded", at, np.zeros((100, 1), np.float32), lost) for at, lost in ((0, 0), (900, 800))]
    came = [(block.at, block.lost, len(block.samples), clock.now_s - 1000) for block in blocks_of(Paced(recorded))]
    assert [block[:3] for block in came] == [(0, 0, 100), *3 * [(100, 0, 0)], (900, 800, 100)]
    assert came[-1][3] == pytest.approx(1.0, abs=0.01)
    assert max(clock.slept_s) <= TICK_S
