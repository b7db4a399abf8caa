"""Configuration: reading TOML, and turning what TOML and JSON hold into dataclasses, with errors that name the key."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from edge_res.errors import ConfigError


def from_mapping(cls: type[Any], body: Mapping[str, Any], where: str) -> Any:
    """A dataclass from a mapping that TOML or JSON gave; raises `ConfigError` for a key or value that does not fit.

    `where` begins its message: what the mapping was read from.
    """
    hints = get_type_hints(cls)
    names = {f.name for f in fields(cls)}
    if unknown := set(body) - names:
        raise ConfigError(f"{where} has the unknown keys {sorted(unknown)}; the keys are {sorted(names)}.")
    return cls(**{name: fitted(hints[name], value, f"{where}: {name}") for name, value in body.items()})


def fitted(hint: Any, value: Any, where: str) -> Any:
    """A value converted to a field's type: lists become tuples, whole numbers floats, tables dataclasses."""
    if is_dataclass(hint) and isinstance(value, Mapping):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is Literal:
        fits = value in get_args(hint)
    elif get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        inner = get_args(hint)
        inner = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(inner) == len(value):
            return tuple(fitted(one, item, where) for one, item in zip(inner, value, strict=True))
        fits = False
    elif hint is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        value = float(value) if fits else value
    else:
        fits = isinstance(hint, type) and type(value) is hint
    if not fits:
        known = f"one of {', '.join(map(str, get_args(hint)))}" if get_origin(hint) is Literal else kind_of(hint)
        raise ConfigError(f"{where} is {value!r}, expected {known}.")
    return value


def kind_of(hint: Any) -> str:
    """A type in plain words."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if inner[-1] is Ellipsis:
            return f"a list, each {kind_of(inner[0])}"
        return f"a list of {len(inner)}, each {kind_of(inner[0])}"
    return {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}.get(hint, "a table")


def read_toml(text: str) -> dict[str, Any]:
    """The contents of a TOML text; raises `ValueError`, with the place, if it is not TOML.

    The reader is imported only here because `edge_res.doctor` loads this module where no package is installed.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]
    body: dict[str, Any] = tomllib.loads(text)
    return body
