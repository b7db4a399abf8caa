"""Device profiles: files of facts, read and checked."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_res.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

ENGINES = ("litert", "tflite-runtime", "onnxruntime")
_MOST_THREADS = 256


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """The settings for a device, and how it is recognised.

    `name` is that of its file without `.toml`, `title` what people call the device. `recognised_by` are texts of which
    one is in the device tree's model or compatible strings of such a device; none means any machine. `engine` and
    `threads` are what the models run with; `notes` is for people.
    """

    name: str
    title: str
    recognised_by: tuple[str, ...]
    engine: str
    threads: int
    notes: str


def known_profiles() -> tuple[str, ...]:
    """The names of the profiles that come along."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))


def load_profile(name_or_path: str | Path) -> DeviceProfile:
    """The profile of that name, or in that `.toml` file; whatever is wrong with it is a `ConfigError`."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in known_profiles():
            raise ConfigError(
                f"There is no device {str(name_or_path)!r}; known are {', '.join(known_profiles())}, "
                "or give the path of a .toml file."
            )
        path = Path(__file__).parent / f"{name_or_path}.toml"
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no device file {path}; known devices are {', '.join(known_profiles())}.") from None
    except OSError as error:
        raise ConfigError(f"The device file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise ConfigError(f"The device file {path} is not TOML: {error}.") from None
    try:
        return _checked(path.stem, body)
    except ConfigError as error:
        raise ConfigError(f"The device file {path} cannot be used: {error}") from None


def _checked(name: str, body: dict[str, Any]) -> DeviceProfile:
    """Each key of `body` against what is allowed for it."""
    rules = {  # key: (does the value fit, what fits)
        "title": (_is_text, "a text"),
        "recognised_by": (
            lambda v: isinstance(v, list) and all(map(_is_text, v)),
            "a list of texts, [] for any machine",
        ),
        "engine": (lambda v: v in ENGINES, f"one of {', '.join(ENGINES)}"),
        "threads": (lambda v: type(v) is int and 1 <= v <= _MOST_THREADS, f"a whole number from 1 to {_MOST_THREADS}"),
        "notes": (lambda v: isinstance(v, str), "a text"),
    }
    for key in body:
        if key not in rules:
            raise ConfigError(f"it has the key {key!r}, allowed are {', '.join(rules)}.")
    for key, (fits, allowed) in rules.items():
        if key not in body:
            raise ConfigError(f"it lacks the key {key!r}, which is {allowed}.")
        if not fits(body[key]):
            raise ConfigError(f"its key {key!r} is {body[key]!r}, allowed is {allowed}.")
    return DeviceProfile(name=name, **{**body, "recognised_by": tuple(body["recognised_by"])})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
