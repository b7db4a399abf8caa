"""The bits of a scan, against values computed by hand and against Python's own integers and floats."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_res.sources.iio.scan import Element, lay_out, read_element, unpack

BY_HAND = [  # type, bytes of a value, the value
    ("le:s12/16>>4", "f0 7f", 2047),  # 0x7ff0 >> 4
    ("le:s12/16>>4", "0f 80", -2048),  # 0x800f: the bits below are the chip's own affair
    ("le:s12/16>>4", "f0 ff", -1),
    ("be:s12/16>>4", "80 0f", -2048),
    ("be:u12/16>>4", "80 0f", 2048),
    ("le:u12/16>>0", "ff f7", 0x7FF),  # those above too
    ("le:s8/8>>0", "80", -128),
    ("be:s16/16>>0", "ff fe", -2),
    ("be:u24/32>>8", "01 02 03 ff", 0x010203),
    ("be:s24/32>>8", "ff ff fe 00", -2),
    ("le:s24/24>>0", "fe ff ff", -2),
    ("le:s48/64>>2", "fc ff ff ff ff ff 03 00", -1),  # the example of the kernel's documentation
    ("le:s64/64>>0", "00 00 00 00 00 00 00 80", -(2**63)),
    ("le:u64/64>>0", "ff ff ff ff ff ff ff ff", 2**64 - 1),
    ("le:s64/64", "01 00 00 00 00 00 00 00", 1),
    ("le:f32/32>>0", "00 00 c0 bf", -1.5),
    ("be:f64/64>>0", "bf f8 00 00 00 00 00 00", -1.5),
    ("le:f16/16>>0", "00 3e", 1.5),
]


@pytest.mark.parametrize(("text", "data", "value"), BY_HAND)
def test_values_by_hand(text: str, data: str, value: float) -> None:
    scans = np.frombuffer(bytes.fromhex(data), np.uint8).reshape(1, -1)
    assert unpack(scans, read_element(text), 0).tolist() == [[value]]


def test_repeated_values_are_several() -> None:
    element = read_element("le:s16/16X4>>0")  # a quaternion
    assert element == Element(False, "s", 16, 2, 4, 0)
    scans = np.frombuffer(struct.pack("<xx8h", 1, -2, 3, -4, 5, -6, 7, -8)[:10], np.uint8).reshape(1, -1)
    assert unpack(scans, element, 2).tolist() == [[1, -2, 3, -4]]


def test_each_element_begins_at_a_multiple_of_its_size() -> None:
    kinds = ["le:s16/16>>0", "le:s8/8>>0", "le:s32/32>>0", "le:s16/16X4>>0", "le:s8/8>>0", "le:s64/64>>0"]
    assert lay_out(map(read_element, kinds)) == ([0, 2, 4, 8, 16, 24], 32)
    assert lay_out(map(read_element, ["le:s64/64>>0", "le:s16/16>>0"])) == ([0, 8], 16)  # and the scan too
    assert lay_out(map(read_element, ["le:s16/16>>0"] * 3)) == ([0, 2, 4], 6)


@pytest.mark.parametrize(
    "text", ["", "s12/16", "le:x12/16>>4", "le:s12/16>>5", "le:s0/8", "le:s12/12", "le:s9/8", "le:s65/128", "le:f24/32"]
)
def test_invalid_types(text: str) -> None:
    with pytest.raises(ValueError, match="is not a type"):
        read_element(text)


@st.composite
def kinds(draw: st.DrawFn) -> Element:
    stored = draw(st.integers(1, 8))
    bits = draw(st.integers(1, 8 * stored))
    shift = draw(st.integers(0, 8 * stored - bits))
    return Element(draw(st.booleans()), draw(st.sampled_from("su")), bits, stored, draw(st.integers(1, 3)), shift)


@given(st.lists(kinds(), min_size=1, max_size=5), st.data())
def test_any_elements_are_read_back(elements: list[Element], data: st.DataObject) -> None:
    begins, size = lay_out(elements)
    for element, begin in zip(elements, begins, strict=True):
        assert begin % element.size == 0
    for element, (begin, after) in zip(elements, pairwise([*begins, size]), strict=True):
        assert begin + element.size <= after
    scan = bytearray(data.draw(st.binary(min_size=size, max_size=size)))  # noise between the values
    expected = []
    for element, begin in zip(elements, begins, strict=True):
        low = -(1 << (element.bits - 1)) if element.kind == "s" else 0
        values = [data.draw(st.integers(low, low + (1 << element.bits) - 1)) for _ in range(element.repeat)]
        for i, value in enumerate(values):
            at = begin + i * element.stored_bytes
            order: Literal["big", "little"] = "big" if element.big_endian else "little"
            noise = int.from_bytes(scan[at : at + element.stored_bytes], order)
            mask = ((1 << element.bits) - 1) << element.shift
            word = (noise & ~mask) | ((value << element.shift) & mask)
            scan[at : at + element.stored_bytes] = word.to_bytes(element.stored_bytes, order)
        expected.append(values)
    scans = np.frombuffer(bytes(scan) * 2, np.uint8).reshape(2, size)
    for element, begin, values in zip(elements, begins, expected, strict=True):
        assert unpack(scans, element, begin).tolist() == [values, values]
