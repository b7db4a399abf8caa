"""The rules for a device file: its keys, and what each may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_res.choices import ENGINES
from edge_res.config import read_toml
from edge_res.errors import ConfigError

# How clocks, power and throttling are read, by the names that device files use; `readings` and `power` explain each.
CPUFREQ, FIRMWARE = CLOCK_WAYS = ("cpufreq", "vcgencmd")
INA3221, PMIC, RAPL = POWER_WAYS = ("ina3221", "pmic", "rapl")
THROTTLING_WAYS = ("get_throttled", "rpi_volt", "soctherm_oc", "cooling", "thermal_throttle")
_MOST = 256  # threads, cores


@dataclass(frozen=True)
class Rule:
    """What a value must be, as a test and in words, and whether it is required."""

    fits: Callable[[Any], bool]
    allowed: str
    required: bool = False


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")  # type: ignore[operator]


def _is_core(value: object) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _texts() -> Rule:
    return Rule(lambda v: isinstance(v, list) and all(map(_is_text, v)), "a list of non-empty strings")


def _one_of(*names: str, required: bool = False) -> Rule:
    return Rule(lambda v: v in names, f"one of {', '.join(names)}", required)


def _some_of(*names: str, least: int = 0) -> Rule:
    return Rule(
        lambda v: isinstance(v, list) and len(v) >= least and all(part in names and v.count(part) == 1 for part in v),
        f"a list {'with at least one ' if least else ''}of {', '.join(names)}, each at most once",
    )


_TEXT = Rule(_is_text, "a non-empty string")
_REQUIRED_TEXT = replace(_TEXT, required=True)
_COUNT = Rule(_is_count, f"a whole number from 1 to {_MOST}")
_POSITIVE = Rule(_is_positive, "a number above 0", True)

# By table; "" stands for the keys before the first table. Messages list the keys in this order.
RULES: dict[str, dict[str, Rule]] = {
    "": {
        "title": _TEXT,
        "recognised_by": _texts(),
        "architectures": _texts(),
        "soc": _TEXT,
        "memory_gb": Rule(lambda v: isinstance(v, list) and all(map(_is_positive, v)), "a list of numbers above 0"),
        "engines": _some_of(*ENGINES, least=1),
        "threads": _COUNT,
        "affinity": Rule(
            lambda v: isinstance(v, list) and all(map(_is_core, v)) and len(set(v)) == len(v),
            "a list of core numbers (from 0), each at most once",
        ),
        "traps": _texts(),
    },
    "clusters": {
        "core": _REQUIRED_TEXT,
        "count": replace(_COUNT, required=True),
        "clock_mhz": _POSITIVE,
        "features": _texts(),
    },
    "peaks": dict.fromkeys(("clock_mhz", "int8_gmacs", "fp32_gflops", "memory_gbs"), _POSITIVE),
    "reads": {
        "temperature": _texts(),
        "clock": _one_of(*CLOCK_WAYS),
        "throttling": _some_of(*THROTTLING_WAYS),
        "power": _one_of("none", *POWER_WAYS),
        "rails": _texts(),
    },
    "providers": {
        "name": _REQUIRED_TEXT,
        "use": _one_of("never", "untested", required=True),
        "why": _REQUIRED_TEXT,
        "model": _TEXT,
        "options": Rule(lambda v: isinstance(v, dict), "a table"),
    },
}
_LISTS = ("clusters", "providers")  # written as [[clusters]], any number of times


def check(body: Mapping[str, Any], text: str) -> None:
    """Raise a `ConfigError` for the first mistake: its line in the `text`, the key, what was found and expected.

    The message is the end of a sentence that names the file.
    """
    tables = [name for name in RULES if name]
    for key in body:
        if key not in RULES[""] and key not in tables:
            raise ConfigError(_unknown(text, "", 0, key))
    _check_table({key: value for key, value in body.items() if key not in tables}, "", 0, text)
    for name in tables:
        value = body.get(name, [] if name in _LISTS else {})
        parts = value if name in _LISTS else [value]
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            written = f"[[{name}]]" if name in _LISTS else f"[{name}]"
            raise ConfigError(f"line {line_of(text, '', 0, name)}: {name!r} is {value!r}, expected a table {written}.")
        for place, part in enumerate(parts):
            if part or name in body:
                _check_table(part, name, place, text)


def _check_table(part: Mapping[str, Any], name: str, place: int, text: str) -> None:
    rules, of = RULES[name], f" of [{name}]" if name else ""
    for key in part:
        if key not in rules:
            raise ConfigError(_unknown(text, name, place, key))
    for key, rule in rules.items():
        if key not in part:
            if rule.required:
                line = line_of(text, name, place, "")
                raise ConfigError(f"line {line}: the key {key!r}{of} is missing; expected {rule.allowed}.")
        elif not rule.fits(part[key]):
            line = line_of(text, name, place, key)
            raise ConfigError(f"line {line}: the key {key!r}{of} is {part[key]!r}, expected {rule.allowed}.")


def _unknown(text: str, name: str, place: int, key: str) -> str:
    known: Sequence[str] = list(RULES[name])
    tables = "" if name else f", and the tables {', '.join(table for table in RULES if table)}"
    of = f" of [{name}]" if name else ""
    line = line_of(text, name, place, key)
    return f"line {line}: unknown key {key!r}{of}; the keys are {', '.join(known)}{tables}."


def line_of(text: str, table: str, place: int, key: str) -> int:
    """The line, counted from 1, on which a key begins in the `place`th table of that name; without a key, the table's.

    A TOML reader reports no line numbers. But among the beginnings of the file that are valid TOML, the key begins
    right after the longest one that lacks it.
    """
    lines, begins = text.split("\n"), 0
    for end in range(1, len(lines)):
        try:
            body = read_toml("\n".join(lines[:end]))
        except ValueError:  # the cut is inside a value of several lines
            continue
        if _has(body, table, place, key):
            break
        begins = end
    return begins + 1


def _has(body: Mapping[str, Any], table: str, place: int, key: str) -> bool:
    part = body.get(table) if table else body
    if isinstance(part, list):
        part = part[place] if place < len(part) else None
    return part is not None and (not key or key in part)
