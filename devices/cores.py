"""The cores of a processor, of their kinds, and the features that decide on what int8 costs (proc(5), cpuinfo).

Linux names a feature of Arm as arch/arm64/kernel/cpuinfo.c does: `asimddp` is the int8 dot product (SDOT), `i8mm` the
int8 matrix product, `asimdhp` fp16. An x86 core names its flags: `avx_vnni` and `avx512_vnni` are the dot products.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_res.devices.files import text

FEATURES = (
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
    "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8",
)  # fmt: skip
# Implementer and part, as arch/arm64/include/asm/cputype.h has them.
_PARTS = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xd83"): "Neoverse-V3AE",
    ("0x4e", "0x003"): "Denver 2",
    ("0x4e", "0x004"): "Carmel",
}


@dataclass(frozen=True)
class Cores:
    """Cores of a kind: what they are called, their numbers, and which of `FEATURES` they have."""

    name: str
    cores: tuple[int, ...]
    features: tuple[str, ...]


def read_cores(root: Path = Path("/")) -> tuple[Cores, ...]:
    """The kinds of cores that run, in the order of their first."""
    kinds: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for block in text(root / "proc/cpuinfo").split("\n\n"):
        fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        if fields.get("processor", "").isdecimal():
            has = (fields.get("Features") or fields.get("flags") or "").split()
            kind = _name(fields), tuple(feature for feature in FEATURES if feature in has)
            kinds.setdefault(kind, []).append(int(fields["processor"]))
    return tuple(Cores(name, tuple(numbers), features) for (name, features), numbers in kinds.items())


def _name(fields: dict[str, str]) -> str:
    """Arm names its parts by numbers; `model name` says no more there than `ARMv8 Processor rev 1 (v8l)`."""
    part = fields.get("CPU implementer", ""), fields.get("CPU part", "")
    if part in _PARTS:
        return _PARTS[part]
    return fields.get("model name") or " ".join(filter(None, part)) or "unknown"


def read_memory_bytes(root: Path = Path("/")) -> int | None:
    """All of the memory that Linux has."""
    words = text(root / "proc/meminfo").split()
    if words[:1] == ["MemTotal:"] and len(words) > 1 and words[1].isdecimal():
        return 1024 * int(words[1])
    return None
