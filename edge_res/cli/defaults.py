"""`edgeres.toml`: defaults for options, in a table for each command.

::

    [listen]
    sources = ["mic:usb"]
    model = "mine.edgeres"
    threshold = ["yes=0.9", "no=0.8"]

A key is an option without its dashes, or an argument's name; the command line goes before the file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import typer
import typer.core

from edge_res.config import fitted, read_toml
from edge_res.errors import ConfigError
from edge_res.telling import say

NAME = "edgeres.toml"


@dataclass(frozen=True)
class Defaults:
    """The tables of a file, by command; whether it was found, not named by the user."""

    path: Path
    tables: Mapping[str, Mapping[str, Any]]
    found: bool

    def of(self, command: typer.core.TyperCommand, context: typer.Context) -> dict[str, Any]:
        """The defaults of a command by the names of its parameters, checked; `context` is that of `edgeres`."""
        table = self.tables.get(str(command.name), {})
        if table and self.found:
            say(f"defaults from [{command.name}] of {self.path}")
        known = {max(parameter.opts, key=len).lstrip("-"): parameter for parameter in command.params}
        hints = get_type_hints(command.callback)
        checked = {}
        for key, value in table.items():
            where = f"{self.path}: [{command.name}] {key}"
            parameter = known.get(key.replace("_", "-"))
            if parameter is None:
                raise ConfigError(f"{where} is not an option of this command; use one of {', '.join(sorted(known))}.")
            name = str(parameter.name)
            checked[name] = fitted(_in_toml(hints[name]), value, where)
            try:
                parameter.process_value(context, checked[name])
            except typer.BadParameter as error:
                raise ConfigError(f"{where}: {error.message}") from None
        return checked


def read_defaults(given: Path | None, commands: Collection[str]) -> Defaults | None:
    """The defaults in the file that is given, else in `edgeres.toml` here or in the user's folder, if there is one."""
    path = given or _find()
    if path is None:
        return None
    try:
        tables = read_toml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"The defaults file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"The defaults file {path} is not TOML: {error}.") from None
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"{path}: {name} stands outside of a table; move it below its command, such as [listen].")
        if name not in commands:
            raise ConfigError(f"{path}: [{name}] is not a command; use one of {', '.join(commands)}.")
    return Defaults(path, tables, found=given is None)


def _find() -> Path | None:
    from edge_res.devices.files import user_folder

    return next((path for path in (Path(NAME), user_folder() / NAME) if path.is_file()), None)


def _in_toml(hint: Any) -> Any:
    """The type that TOML has for a parameter's: a text for a path, a list for a list, nothing for None."""
    inner = get_args(hint)
    if NoneType in inner:
        (hint,) = [one for one in inner if one is not NoneType]
        return _in_toml(hint)
    if get_origin(hint) is list:
        return tuple[_in_toml(inner[0]), ...]  # type: ignore[misc]
    if get_origin(hint) is tuple:
        return tuple[tuple(map(_in_toml, inner))]  # type: ignore[misc]
    return str if hint is Path else hint
