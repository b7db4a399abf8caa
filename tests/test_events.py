"""Ids and times of events in a replay, and where a source's clock says when samples were captured."""

from __future__ import annotations

import struct
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import soundfile

import edge_res
from edge_res.flow import Block
from edge_res.session import RecordedSource, Session, block_of
from edge_res.sources import Wanted, open_source
from edge_res.sources.clock import CaptureClock
from tests.edgeres import DEMO, edgeres, lines

MARCH = datetime(2026, 3, 1, 11, tzinfo=timezone.utc)


def dated(path: Path) -> Path:
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    with soundfile.SoundFile(path, "w", rate_hz, 1) as file:
        file.date = MARCH.isoformat()
        file.write(samples)
    return path


def test_a_replay_has_the_same_ids_and_times(tmp_path: Path) -> None:
    for source in ("demo:", dated(tmp_path / "dated.flac")):
        session = tmp_path / f"{Path(source).stem.strip(':')}.edgerec"
        then = lines(edgeres("listen", source, "--format", "jsonl", "--record", session))
        now = lines(edgeres("listen", session, "--format", "jsonl"))
        assert len(then) > 10
        assert now == then
        assert ("time" in then[0]) == (source != "demo:")


def test_ids_tell_sources_labels_and_moments_apart(tmp_path: Path) -> None:
    (tmp_path / "copy.flac").write_bytes(DEMO.read_bytes())
    of_two = [list(edge_res.listen(source)) for source in ("demo:", tmp_path / "copy.flac")]
    ids = [event.id for events in of_two for event in events]
    assert len(set(ids)) == len(ids) / 2  # on and off have the same one
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in ids)
    assert [event.id for event in edge_res.listen("demo:")] == ids[: len(ids) // 2]


def test_a_recording_that_is_played_again_has_new_ids(tmp_path: Path) -> None:
    listener = edge_res.Listener(dated(tmp_path / "a.flac"), loop=True)
    ids = []
    for event in listener:
        ids.append(event.id)
        if len(ids) == 40:
            break
    assert len(set(ids)) == 20


def test_a_session_of_version_1_is_replayed_without_times(tmp_path: Path) -> None:
    path = tmp_path / "a.edgerec"
    edgeres("listen", "demo:", "--record", path)
    path.write_bytes(path.read_bytes().replace(b'{"edgerec": 2,', b'{"edgerec": 1,', 1))
    events = list(edge_res.listen(path))
    assert len(events) > 10
    assert {event.time for event in events} == {None}


def test_the_time_of_a_block_is_kept_in_a_session(tmp_path: Path) -> None:
    path = tmp_path / "a.edgerec"
    edgeres("listen", dated(tmp_path / "a.flac"), "--record", path)
    source = RecordedSource(str(path), 16000, 1, "")
    blocks = [block_of(record, source) for record in Session(str(path)).records(0, b"B")]
    assert [block.time_us for block in blocks] == [
        round(1e6 * MARCH.timestamp()) + round(1e6 * block.at / 16000) for block in blocks
    ]


def bext(day: bytes, clock: bytes, reference: int) -> bytes:
    body = b"\0" * 320 + day.ljust(10, b"\0") + clock.ljust(8, b"\0") + struct.pack("<Q", reference) + b"\0" * 300
    return b"bext" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("day", "clock", "reference", "expected"),
    [
        (b"2026-03-01", b"11:00:00", 0, datetime(2026, 3, 1, 11)),
        (b"2026:03:01", b"11-00-00", 16000 * 39600 + 8000, datetime(2026, 3, 1, 11, 0, 0, 500000)),
        (b"2026-03-01", b"11:00:00", 16000 * 60, datetime(2026, 3, 1, 11)),  # it counts from elsewhere
        (b"2026-03-01", b"11:00:00", (1 << 64) - 1, datetime(2026, 3, 1, 11)),
        (b"2026-13-01", b"11:00:00", 0, None),
        (b"", b"", 0, None),
        (b"\xff" * 10, b"\xff" * 8, 0, None),
        (b"0001-01-01", b"00:00:00", 0, None),
        (b"9999-12-31", b"23:59:59", 16000 * 86400, None),
    ],
)
def test_broadcast_wav_says_when_it_was_begun(
    tmp_path: Path, day: bytes, clock: bytes, reference: int, expected: datetime | None
) -> None:
    soundfile.write(tmp_path / "plain.wav", np.zeros(3200, np.int16), 16000)
    whole = (tmp_path / "plain.wav").read_bytes()
    chunk = bext(day, clock, reference)
    riff = whole[:4] + struct.pack("<I", len(whole) - 8 + len(chunk)) + whole[8:12] + chunk + whole[12:]
    (tmp_path / "a.wav").write_bytes(riff)
    with open_source(str(tmp_path / "a.wav"), Wanted(16000, 1, 0.08)) as source:
        blocks = [item for item in source if isinstance(item, Block)]
    assert sum(len(block.samples) for block in blocks) == 3200
    start_us = None if expected is None else round(1e6 * expected.timestamp())  # local time
    assert blocks[0].time_us == start_us
    assert blocks[1].time_us == (None if start_us is None else start_us + 80_000)


def test_a_capture_clock_takes_the_least_delay_and_follows_a_drift() -> None:
    now_s = 100.0
    clock = CaptureClock(1000, clock=lambda: now_s)
    assert clock.time_us(0) is None
    rng = np.random.default_rng(0)
    for i in range(1, 2000):
        now_s = 100 + i / 100 + 0.03 + abs(rng.normal(0, 0.05)) * (i % 4 > 0)
        clock.came(10 * i)
        assert clock.captured_s(0) == pytest.approx(100.03, abs=1e-9) or i < 4
    for i in range(2000, 4000):
        now_s = 100.03 + i / 100 + (i - 2000) * 1e-5  # 0.1 % slow
        clock.came(10 * i)
    assert clock.captured_s(0) == pytest.approx(100.05, abs=0.003)


@pytest.mark.parametrize("date", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "1900-01-01T00:00:00Z"])
def test_a_year_that_cannot_be_is_unknown(tmp_path: Path, date: str) -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    with soundfile.SoundFile(tmp_path / "a.flac", "w", rate_hz, 1) as file:
        file.date = date
        file.write(samples)
    events = list(edge_res.listen(tmp_path / "a.flac"))
    assert events
    assert {event.time for event in events} == {None}
