"""Addresses such as `scheme:TARGET?option=value&…`, which name a sensor and its options."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from edge_res.errors import ConfigError

Options = TypeVar("Options")


def read_address(text: str, options: type[Options], example: str) -> tuple[str, Options]:
    """The target of an address, and its options as an instance of the dataclass `options`.

    The fields of the dataclass are the options that exist. Their types, which are str, int, float or bool, or one of
    these and None, say what a value must be; a field without a default is required. Raises `ConfigError`.

    >>> @dataclasses.dataclass
    ... class Lamp:
    ...     colour: str = "red"
    ...     brightness: float | None = None
    >>> read_address("lamp:desk?brightness=0.5", Lamp, "lamp:desk")
    ('desk', Lamp(colour='red', brightness=0.5))
    """
    target, _, query = text.partition(":")[2].partition("?")
    fields = {field.name: field for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    kinds = typing.get_type_hints(options)
    given: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in fields:
            known = ", ".join(fields)
            raise ConfigError(f"{text} has the unknown option {name!r}; its options are {known}, as in {example}.")
        if name in given:
            raise ConfigError(f"{text} gives {name} twice; leave one out.")
        given[name] = _convert(text, name, value, kinds[name])
    for name, field in fields.items():
        if name not in given and field.default is dataclasses.MISSING:
            raise ConfigError(f"{text} lacks {name}; give it as in {example}.")
    return target, options(**given)


def masked(text: str) -> str:
    """An address without its user and password, for messages.

    >>> masked("mqtt://ear:sesame@broker/room")
    'mqtt://…@broker/room'
    """
    before, at, behind = text.rpartition("@")
    scheme, slashes, _ = before.partition("//")
    return f"{scheme}//…@{behind}" if at and slashes else text


def _convert(text: str, name: str, value: str, kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    try:
        if kind is bool:
            return {"yes": True, "no": False}[value]
        return kind(value)
    except (KeyError, ValueError):
        what = {int: "an integer", float: "a number", bool: "yes or no"}[kind]
        raise ConfigError(f"{text} says {name}={value}; expected {what}.") from None
