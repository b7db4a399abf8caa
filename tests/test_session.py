"""The file of a session: exact, and readable however it ends."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_res.errors import ConfigError, OutputError, SignalError, SourceError
from edge_res.flow import Block, Health, Samples
from edge_res.session import (
    Header,
    Record,
    RecordedBundle,
    RecordedSource,
    Session,
    block_of,
    block_payload,
    exact_int16,
)
from edge_res.sinks.recorder import SessionWriter
from edge_res.sources import Wanted, open_source
from edge_res.sources.replay import Replayed, open_session

SOURCES = (RecordedSource("mic:", 16000, 1, ""), RecordedSource("udp://:5005", 1000, 3, "g"))
BUNDLES = (RecordedBundle("default", "0" * 64, 12, (8, 40, 1)),)
HEADER = Header("2026-11-23T10:00:00.000+00:00", "1", "2", "cpu", "LiteRT", "step", {"yes": 0.5}, SOURCES, BUNDLES)
WANT = Wanted(16000, None, 0.08)


def samples_of(n: int, channels: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal((n, channels)).astype(np.float32)


def write(path: Path, items: list[Block | Health], header: Header = HEADER, ended: bool = True) -> bytes:
    writer = SessionWriter(path, header)
    writer.open()
    for item in items:
        place = [source.name for source in header.sources].index(item.source)
        if isinstance(item, Block):
            code, payload = block_payload(item)
            writer.add(b"B", payload, place, code=code)
        else:
            body = {"state": item.state, "reason": item.reason, "at_s": item.at_s}
            writer.add(b"H", json.dumps(body).encode(), place)
    if ended:
        writer.close()
    assert writer._file
    writer._file.close()
    return path.read_bytes()


@pytest.mark.parametrize("early", [True, False])
def test_a_disk_that_is_gone_ends_the_recording_with_a_sentence(tmp_path: Path, early: bool) -> None:
    writer = SessionWriter(tmp_path / "a.edgerec", HEADER)
    writer.open()
    assert writer._file
    gone = os.open(os.devnull, os.O_RDONLY)
    os.dup2(gone, writer._file.fileno())  # nothing can be written or cut off any more
    os.close(gone)
    if early:
        writer.add(b"B", b"x")
        assert "cannot be written any more" in writer.failure
    writer.close()
    assert writer.failure.startswith(f"{tmp_path}/a.edgerec cannot be written any more: ")
    assert writer.failure.endswith(f"; the {len(HEADER.to_line())} bytes before are whole, make room for the next.")
    assert writer._file.closed


def same(one: Block | Health, other: Block | Health) -> bool:
    if not (isinstance(one, Block) and isinstance(other, Block)):
        return one == other
    fields = [(each.source, each.at, each.lost, each.begins, each.samples.shape) for each in (one, other)]
    return fields[0] == fields[1] and one.samples.tobytes() == other.samples.tobytes()


ITEMS: list[Block | Health] = [
    Block("mic:", 0, samples_of(1280, 1)),
    Block("udp://:5005", 7, samples_of(80, 3), 7),
    Health("udp://:5005", "alarmed", "no sample for 1.0 s", 0.087),
    Block("mic:", 12000, np.rint(1000 * samples_of(1280, 1)) / np.float32(32768), 10720, "küche.wav"),
    Block("mic:", 13300, samples_of(0, 1), 20),
    Health("mic:", "failed", "it is gone — for ever.", 0.83),
]


def test_all_that_was_recorded_comes_again_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.edgerec"
    write(path, ITEMS)
    sources = open_session(str(path), WANT)
    assert [(s.name, s.rate_hz, s.channels, s.unit) for s in sources] == [
        ("mic:", 16000, 1, ""),
        ("udp://:5005", 1000, 3, "g"),
    ]
    for source in sources:
        expected = [item for item in ITEMS if item.source == source.name]
        for _ in range(2):  # it can be replayed again
            found = list(source)
            assert len(found) == len(expected)
            assert all(map(same, found, expected))
    assert sources[0].session.cut == ""
    assert sources[0].session.header == HEADER


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 32767 / 32768, 1 / 32768])
def test_sixteen_bits_are_taken_where_they_are_exact(value: float) -> None:
    samples = np.full((4, 1), value, np.float32)
    integers = exact_int16(samples)
    assert (integers is None) is (value == 1.0)  # which int16 does not reach
    if integers is not None:
        assert (integers / np.float32(32768)).tobytes() == samples.tobytes()


@pytest.mark.parametrize("value", [1e-9, 0.5 + 2**-16, -0.0, np.nan, np.inf, 3e38])
def test_sixteen_bits_are_not_taken_where_they_are_not(value: float) -> None:
    samples = np.zeros((4, 1), np.float32)
    samples[2] = value
    assert exact_int16(samples) is None
    code, payload = block_payload(Block("mic:", 0, samples))
    assert block_of(Record(b"B", 0, 0, code, 0, payload), SOURCES[0]).samples.tobytes() == samples.tobytes()


def test_a_file_cut_anywhere_gives_all_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "a.edgerec"
    ends = []  # of the header and of each record
    for n in range(len(ITEMS) + 1):
        ends.append(len(write(path, ITEMS[:n], ended=False)))
        if n < len(ITEMS):
            path.unlink()
    raw = path.read_bytes()
    cut = tmp_path / "cut.edgerec"
    places = {place + offset for place in ends for offset in (-21, -1, 0, 1, 3, 4, 19, 20, 21, 43)}
    for left in sorted(place for place in places if ends[0] < place <= len(raw)):
        cut.write_bytes(raw[:left])
        session = Session(str(cut))
        whole = sum(end <= left for end in ends) - 1
        found = [list(Replayed(str(cut), WANT, session, place)) for place in range(2)]
        assert len(found[0]) + len(found[1]) == whole
        if left in ends:
            assert "cut.edgerec was never ended: its recorder was killed" in session.cut
        else:
            assert f"the last {left - ends[whole]} of its {left} bytes are cut off or damaged" in session.cut


def test_what_is_damaged_and_all_behind_it_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.edgerec"
    start, raw = len(HEADER.to_line()), write(path, ITEMS)
    rng = np.random.default_rng(1)
    for place in [*range(start, start + 45), *rng.integers(start, len(raw), 100).tolist()]:
        damaged = bytearray(raw)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        session = Session(str(path))
        assert "cut off or damaged" in session.cut
        found = [item for i in range(2) for item in Replayed(str(path), WANT, session, i)]
        assert len(found) < len(ITEMS) or place >= len(raw) - 20
        assert all(any(same(item, other) for other in ITEMS) for item in found)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from([b"B", b"H", b"L", b"F", b"E", b"?"]), st.integers(0, 255))
def test_what_no_writer_wrote_is_damaged_even_with_a_right_crc(
    tmp_path: Path, payload: bytes, kind: bytes, place: int
) -> None:
    path = tmp_path / "a.edgerec"
    path.unlink(missing_ok=True)
    writer = SessionWriter(path, HEADER)
    writer.open()
    writer.add(kind, payload, place, bundle=place, code=1)
    writer.close()
    session = Session(str(path))
    assert session.cut or (kind == b"E" and place == 0) or (place < 1 and kind == b"L" and len(payload) == 12)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"{}\n", b"[]\n", b"1\n", b'"x"\n', b"\xff\xfe\n", b"RIFF\0\0", b"[" * 3000,
        HEADER.to_line().replace(b'"edgerec": 2', b'"edgerec": 3'),
        HEADER.to_line().replace(b"16000", b"0"),
        HEADER.to_line().replace(b"16000", b'"x"'),
        HEADER.to_line().replace(b"16000", b"1.5"),
        HEADER.to_line().replace(b"[8, 40, 1]", b"8"),
        HEADER.to_line().replace(b'"mode"', b'"mood"'),
    ],
)  # fmt: skip
def test_what_is_no_session_is_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.edgerec"
    path.write_bytes(line)
    with pytest.raises(SourceError, match=r"a\.edgerec is not a readable session of version 2; record it with"):
        Session(str(path))


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no file .*gone\.edgerec; check the path\.$"):
        open_source(str(tmp_path / "gone.edgerec"), WANT)
    with pytest.raises(OutputError, match=r"cannot be written: No such file or directory; name another file\.$"):
        SessionWriter(tmp_path / "gone" / "a.edgerec", HEADER).open()
    (tmp_path / "a.edgerec").write_bytes(b"precious")
    with pytest.raises(ConfigError, match=r"a\.edgerec is there already; name another file, or remove it\.$"):
        SessionWriter(tmp_path / "a.edgerec", HEADER)
    assert (tmp_path / "a.edgerec").read_bytes() == b"precious"


def test_a_session_says_its_rate_and_channels_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.edgerec"
    write(path, ITEMS)
    with pytest.raises(ConfigError, match=r"a\.edgerec states that mic: has 16000 Hz, and --rate says 8000"):
        open_source(str(path), Wanted(16000, None, 0.08, given_rate_hz=8000))
    with pytest.raises(SignalError, match="5005 has 3 channels, but the model expects 1; pick some"):
        open_session(str(path), Wanted(16000, 1, 0.08))


def test_an_empty_session_is_no_signal(tmp_path: Path) -> None:
    path = tmp_path / "a.edgerec"
    write(path, [ITEMS[2]])
    with pytest.raises(SignalError, match=r"a\.edgerec holds 0 samples; there is nothing to listen to\.$"):
        open_session(str(path), WANT)


def test_a_part_of_a_record_that_an_interrupt_left_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "a.edgerec"
    writer = SessionWriter(path, HEADER)
    writer.open()
    writer.add(b"L", bytes(12))
    assert writer._file
    writer._file.write(struct.pack("<c", b"L"))  # as a write that stopped halfway
    writer.close()
    writer.close()
    session = Session(str(path))
    assert (session.cut, session.hops) == ("", {(0, 0): 1})
