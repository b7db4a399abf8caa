"""Settings that `edgeres profile --save` writes to the user's configuration and `edgeres listen` uses.

`config.toml` in the user's folder has a table `[measured.KEY]` for each pair of a machine and a bundle; the rest of the
file is the user's and stays unchanged. The whole profile is saved beside it as `profiles/KEY.json`; these calibrate
`--estimate`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_res.choices import MODES
from edge_res.config import read_toml
from edge_res.devices.files import user_folder
from edge_res.errors import ConfigError, OutputError
from edge_res.model.bundle import Bundle, bundle_hash
from edge_res.writing import replace_file


@dataclass(frozen=True)
class Settings:
    """The engine, mode and threads to listen with on a machine, and why."""

    machine: str
    model: str
    engine: str
    mode: str
    threads: int
    reason: str
    measured: str  # the date


def user_config() -> Path:
    """`config.toml` in the user's folder."""
    return user_folder() / "config.toml"


def key_of(machine: str, bundles: Sequence[Bundle]) -> str:
    """The key for a machine and a bundle, or an ensemble of several."""
    return hashlib.sha256(f"{machine}\n{bundle_hash(bundles)}".encode()).hexdigest()[:16]


def save(key: str, settings: Settings, profile: str) -> Path:
    """Write the settings into `config.toml` and the profile beside it; returns the path of `config.toml`."""
    path = user_config()
    folder = path.parent
    text = with_table(read_text(path), key, settings)
    try:
        if read_toml(text)["measured"][key] != asdict(settings):
            raise ValueError("the table does not read back")
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} is not TOML that a table can be added to: {error}; fix it or move it away."
        ) from None
    try:
        (folder / "profiles").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be created: {error.strerror}; create it, or remove the file in its place."
        ) from None
    replace_file(folder / "profiles" / f"{key}.json", profile)
    replace_file(path, text)
    return path


def with_table(text: str, key: str, settings: Settings) -> str:
    """A TOML text in which the table of that key is added or replaced; the other lines stay."""
    kept, inside = [], False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            inside = line.strip() == f"[measured.{key}]"
        if not inside:
            kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    # JSON strings are TOML strings, except that `ensure_ascii` would write surrogate pairs, which TOML does not have.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in asdict(settings).items()]
    return "\n".join([*kept, *([""] if kept else []), f"[measured.{key}]", *lines]) + "\n"


def read_text(path: Path) -> str:
    """The text of a file; empty if there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', error)}; fix it.") from None


def saved_settings(key: str) -> Settings | None:
    """The settings saved under a key, or None; raises `ConfigError` if the file or the table is damaged."""
    path = user_config()
    text = read_text(path)
    try:
        body = read_toml(text).get("measured", {})
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}; fix it or move it away.") from None
    if not isinstance(body, dict) or key not in body:
        return None
    try:
        settings = Settings(**body[key])
    except TypeError:
        settings = None
    if settings is None or not (
        isinstance(settings.engine, str)
        and settings.mode in MODES
        and type(settings.threads) is int
        and 1 <= settings.threads <= 256
    ):
        raise ConfigError(
            f"The table [measured.{key}] of {path} is not as `edgeres profile --save` writes it; remove it, or profile "
            "again."
        )
    return settings


def saved_profiles() -> Iterator[dict[str, Any]]:
    """All saved profiles; those that cannot be read are left out."""
    for path in sorted((user_config().parent / "profiles").glob("*.json")):
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(body, dict) and body.get("edgeres_profile") == 1:
            yield body
