"""Exactly the complete frames are found, whatever lies between them and however the bytes are split."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_res.sources.framing import MOST_BYTES, Decoder, Frame, pack_frame, read_frame


def stream(count: int, channels: int, seed: int, kind: str = "h", per_frame: int = 5) -> list[bytes]:
    values = np.random.default_rng(seed).integers(-32768, 32768, (count, per_frame, channels))
    return [pack_frame(i * per_frame, values[i], kind) for i in range(count)]  # type: ignore[arg-type]


def decoded(data: bytes, cuts: list[int] | None = None) -> list[Frame]:
    found: list[Frame] = []
    decoder, at = Decoder(), 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]:
        found += decoder.push(data[at:cut])
        at = cut
    return found


def test_a_frame_is_laid_out_as_documented() -> None:
    samples = np.array([[1, -2, 300], [4, 5, -32768]])
    body = bytes([ord("h"), 3]) + struct.pack("<HI6h", 2, 0xFFFFFFFE, 1, -2, 300, 4, 5, -32768)
    coded = b"\xa5\x5a" + body + struct.pack("<I", zlib.crc32(body))
    assert pack_frame(-2, samples) == coded
    frame, end = read_frame(coded)
    assert frame is not None
    assert (frame.number, end) == (0xFFFFFFFE, len(coded))
    assert frame.samples.dtype == np.float32
    np.testing.assert_array_equal(frame.samples, samples)


def test_float32_is_kept_to_the_bit() -> None:
    samples = np.array([[1e-30], [-np.pi], [3e38]], np.float32)
    frame, _ = read_frame(pack_frame(7, samples, "f"))
    assert frame is not None
    np.testing.assert_array_equal(frame.samples, samples)


BEGINNINGS = st.sampled_from([b"\xa5", b"\xa5\xa5", b"\xa5\x5a", b"\xa5\x5ah\x03\x05\x00", b"\xa5\x5af\x08\x00\x02"])


@given(
    st.integers(1, 8),
    st.integers(0, 99),
    st.sampled_from("hf"),
    st.lists(st.binary(max_size=40) | BEGINNINGS, min_size=6, max_size=6),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_each_frame_is_found_among_garbage_however_the_bytes_are_split(
    channels: int, seed: int, kind: str, garbage: list[bytes], cuts: list[int]
) -> None:
    frames = stream(5, channels, seed, kind)
    data = garbage[0] + b"".join(frame + rest for frame, rest in zip(frames, garbage[1:], strict=True))
    found = decoded(data + bytes(MOST_BYTES), cuts)  # garbage may look like the beginning of a long one
    assert [frame.number for frame in found] == [0, 5, 10, 15, 20]
    for frame, coded in zip(found, frames, strict=True):
        assert frame.samples.tobytes() == read_frame(coded)[0].samples.tobytes()  # type: ignore[union-attr]


@given(st.integers(0, 99), st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=12))
def test_no_damaged_frame_is_found_and_all_others_are(seed: int, damage: list[tuple[int, int]]) -> None:
    frames = stream(12, 3, seed)
    size = len(frames[0])
    data = bytearray(b"".join(frames))
    for place, change in damage:
        data[place % len(data)] ^= change
    whole = [i for i in range(12) if data[i * size : (i + 1) * size] == frames[i]]
    found = decoded(bytes(data) + bytes(MOST_BYTES))
    assert [frame.number for frame in found] == [5 * i for i in whole]
    for i, frame in zip(whole, found, strict=True):
        np.testing.assert_array_equal(frame.samples, read_frame(frames[i])[0].samples)  # type: ignore[union-attr]


@given(st.integers(0, 99), st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 30)), max_size=5))
@example(26, [(330, 11)])
def test_missing_bytes_cost_only_their_own_frames(seed: int, cuts: list[tuple[int, int]]) -> None:
    frames = stream(12, 2, seed)
    kept = np.ones(12 * len(frames[0]), bool)
    for place, length in cuts:
        kept[place % len(kept) :][:length] = False
    data = np.frombuffer(b"".join(frames), np.uint8)[kept].tobytes()
    whole = [5 * i for i, frame in enumerate(frames) if frame in data]  # a byte before it may be its first one again
    assert [frame.number for frame in decoded(data + bytes(MOST_BYTES))] == whole


@pytest.mark.parametrize(
    "change", [(2, ord("d")), (3, 0), (3, 9), (4, 0), (5, 255)], ids=["type", "none", "nine", "empty", "long"]
)
def test_an_impossible_header_is_not_waited_for(change: tuple[int, int]) -> None:
    first, second = stream(2, 3, 1)
    damaged = bytearray(first)
    damaged[change[0]] = change[1]
    assert [frame.number for frame in decoded(bytes(damaged) + second[:-1] + second[-1:])] == [5]
    assert read_frame(damaged) == (None, 0)


def test_a_complete_frame_ends_the_wait_for_one_with_a_damaged_length() -> None:
    first, second = stream(2, 3, 1)
    damaged = first[:4] + struct.pack("<H", 1000) + first[6:]
    decoder = Decoder()
    assert not list(decoder.push(damaged))
    assert [frame.number for frame in decoder.push(second)] == [5]


def test_it_holds_no_more_than_a_frame() -> None:
    decoder = Decoder()
    for _ in range(100):
        assert not list(decoder.push(b"\xa5\x5ah\x01" + struct.pack("<H", 8192) + bytes(1000)))
        assert len(decoder._held) <= MOST_BYTES + 1100
    decoder.reset()
    assert [frame.number for frame in decoder.push(stream(1, 1, 1)[0])] == [0]
