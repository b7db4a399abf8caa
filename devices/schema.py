"""The rules of a device file: which keys there are, and what is allowed for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_res.choices import ENGINES
from edge_res.config import read_toml
from edge_res.errors import ConfigError

# The ways in which devices tell of themselves, as a device file calls them; the readers say what each is.
CPUFREQ, FIRMWARE = CLOCK_WAYS = ("cpufreq", "vcgencmd")
INA3221, PMIC, RAPL = POWER_WAYS = ("ina3221", "pmic", "rapl")
THROTTLING_WAYS = ("get_throttled", "rpi_volt", "soctherm_oc", "cooling", "thermal_throttle")
_MOST = 256  # threads, cores


@dataclass(frozen=True)
class Rule:
    """What a value must be, as a test and in words."""

    fits: Callable[[Any], bool]
    allowed: str
    needed: bool = False


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")  # type: ignore[operator]


def _is_core(value: object) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _texts() -> Rule:
    return Rule(lambda v: isinstance(v, list) and all(map(_is_text, v)), "a list of texts that are not empty")


def _one_of(*names: str, needed: bool = False) -> Rule:
    return Rule(lambda v: v in names, f"one of {', '.join(names)}", needed)


def _some_of(*names: str, least: int = 0) -> Rule:
    return Rule(
        lambda v: isinstance(v, list) and len(v) >= least and all(part in names and v.count(part) == 1 for part in v),
        f"a list of {', '.join(names)}{', at least one' if least else ''}, each once",
    )


_TEXT = Rule(_is_text, "a text that is not empty")
_NEEDED_TEXT = replace(_TEXT, needed=True)
_COUNT = Rule(_is_count, f"a whole number from 1 to {_MOST}")
_POSITIVE = Rule(_is_positive, "a number above 0", True)

# By table, "" for the keys before the first; the keys in the order in which a message lists them.
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
            "a list of the numbers of cores, from 0, each once",
        ),
        "traps": _texts(),
    },
    "clusters": {
        "core": _NEEDED_TEXT,
        "count": Rule(_is_count, f"a whole number from 1 to {_MOST}", True),
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
        "name": _NEEDED_TEXT,
        "use": _one_of("never", "untested", needed=True),
        "why": _NEEDED_TEXT,
        "model": _TEXT,
        "options": Rule(lambda v: isinstance(v, dict), "a table"),
    },
}
_LISTS = ("clusters", "providers")  # written [[clusters]], any number of them


def check(body: Mapping[str, Any], text: str) -> None:
    """Raise a `ConfigError` that ends a sentence: the key, its line in the `text`, and what is allowed."""
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
            raise ConfigError(
                f"line {line_of(text, '', 0, name)}: {name!r} is {value!r}, allowed is a table {written}."
            )
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
            if rule.needed:
                line = line_of(text, name, place, "")
                raise ConfigError(f"line {line}: the key {key!r}{of} is missing, which is {rule.allowed}.")
        elif not rule.fits(part[key]):
            line = line_of(text, name, place, key)
            raise ConfigError(f"line {line}: the key {key!r}{of} is {part[key]!r}, allowed is {rule.allowed}.")


def _unknown(text: str, name: str, place: int, key: str) -> str:
    known: Sequence[str] = list(RULES[name])
    tables = "" if name else f", and the tables {', '.join(table for table in RULES if table)}"
    of = f" of [{name}]" if name else ""
    line = line_of(text, name, place, key)
    return f"line {line}: there is no key {key!r}{of}; allowed are {', '.join(known)}{tables}."


def line_of(text: str, table: str, place: int, key: str) -> int:
    """The line, from 1, on which a key of a table begins, the `place`th of that name; of no key, the table itself.

    A TOML reader tells no lines. But of the first lines that are TOML and have the key, it begins right after the
    longest that are TOML and have it not.
    """
    lines, begins = text.split("\n"), 0
    for end in range(1, len(lines)):
        try:
            body = read_toml("\n".join(lines[:end]))
        except ValueError:  # within a value of several lines
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
