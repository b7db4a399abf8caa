"""The layout of values in a scan of Linux's industrial I/O.

See the kernel's Documentation/ABI/testing/sysfs-bus-iio and Documentation/iio/iio_devbuf.rst.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPE = re.compile(r"(be|le):([suf])(\d+)/(\d+)(?:X(\d+))?(?:>>(\d+))?", re.IGNORECASE)
_FLOAT_BITS = (16, 32, 64)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a scan: `repeat` values, each of `bits` bits in `stored_bytes` bytes, shifted left by `shift`.

    `kind` is `s` (two's complement), `u` (unsigned) or `f` (IEEE 754).
    """

    big_endian: bool
    kind: str
    bits: int
    stored_bytes: int
    repeat: int = 1
    shift: int = 0

    @property
    def size(self) -> int:
        """Its length in bytes, and its alignment."""
        return self.stored_bytes * self.repeat


def read_element(text: str) -> Element:
    """Parse `[be|le]:[s|u|f]BITS/STOREDBITS[XREPEAT][>>SHIFT]`; raises `ValueError`.

    >>> read_element("le:s12/16>>4")
    Element(big_endian=False, kind='s', bits=12, stored_bytes=2, repeat=1, shift=4)
    """
    match = _TYPE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a type such as le:s12/16>>4")
    kind = match[2].lower()
    bits, stored, repeat, shift = (int(part or 0) for part in match.groups()[2:])
    fits = bits >= 1 and bits + shift <= stored <= 64 and stored % 8 == 0
    if not fits or (kind == "f" and (shift or bits != stored or bits not in _FLOAT_BITS)):
        raise ValueError(f"{text!r} is not a type whose bits can be read")
    return Element(match[1].lower() == "be", kind, bits, stored // 8, max(1, repeat), shift)


def lay_out(elements: Iterable[Element]) -> tuple[list[int], int]:
    """The byte at which each element begins, for elements in order of their indices, and the bytes of a scan.

    Each element is aligned to its own size, the scan to that of its largest element.
    """
    begins, end, largest = [], 0, 1
    for element in elements:
        begin = _aligned(end, element.size)
        begins.append(begin)
        end, largest = begin + element.size, max(largest, element.size)
    return begins, _aligned(end, largest)


def unpack(scans: NDArray[np.uint8], element: Element, begin: int) -> NDArray[Any]:
    """Values `(n, repeat)`, int64, uint64 or floating, of an element that begins at byte `begin` of `(n, bytes)`."""
    parts = scans[:, begin : begin + element.size].reshape(len(scans), element.repeat, element.stored_bytes)
    if element.big_endian:
        parts = parts[..., ::-1]
    if element.kind == "f":
        floats: NDArray[Any] = np.ascontiguousarray(parts).view(f"<f{element.stored_bytes}")[..., 0]
        return floats
    places = np.arange(element.stored_bytes, dtype=np.uint64) * np.uint64(8)
    words: NDArray[Any] = (parts.astype(np.uint64) << places).sum(axis=-1, dtype=np.uint64) >> np.uint64(element.shift)
    words &= np.uint64((1 << element.bits) - 1)
    if element.kind == "u":
        return words
    sign = np.uint64(1 << (element.bits - 1))
    signed: NDArray[Any] = ((words ^ sign) - sign).view(np.int64)  # modulo 2**64, as in two's complement
    return signed


def _aligned(at: int, to: int) -> int:
    return -(-at // to) * to
