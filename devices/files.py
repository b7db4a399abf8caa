"""Device files: what is known of a device, read from TOML and checked.

A device belongs to the family whose name, with a hyphen, its own begins with: `jetson-nano` to `jetson`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_res.choices import ENGINES
from edge_res.config import read_toml
from edge_res.devices.schema import CPUFREQ, THROTTLING_WAYS, check
from edge_res.errors import ConfigError


@dataclass(frozen=True)
class Cluster:
    """Identical cores: name, count, highest clock, and the CPU features that matter for inference."""

    core: str
    count: int
    clock_mhz: float
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Peaks:
    """Upper bounds of the fastest core (10⁹ int8 multiply-adds and 10⁹ fp32 operations a second) and of the memory
    (10⁹ bytes a second)."""

    clock_mhz: float
    int8_gmacs: float
    fp32_gflops: float
    memory_gbs: float


@dataclass(frozen=True)
class Reads:
    """Where to read a device's sensors: types of thermal zones (empty: all), how to read `clock`, `throttling` and
    `power`, and the `rails` that add up to the power of the whole device (empty: all)."""

    temperature: tuple[str, ...] = ()
    clock: str = CPUFREQ
    throttling: tuple[str, ...] = THROTTLING_WAYS
    power: str = "none"
    rails: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provider:
    """An execution provider of ONNX Runtime on the device: `use` is `never` or `untested`, `why` gives the reason."""

    name: str
    use: str
    why: str
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceFile:
    """The facts in a device file.

    `name` is the file's name without `.toml`, `title` what people call the device. A board is recognised if one of the
    texts in `recognised_by` is part of its device tree's model or compatible, or of its DMI name; an empty
    `recognised_by` fits any machine with one of the `architectures` (as `uname -m` prints them; empty: all). `engines`
    are tried in that order, with `threads`; `affinity` lists the cores to run on (empty: all). `traps` are advice for
    people.
    """

    name: str
    title: str = ""
    recognised_by: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    soc: str = ""
    memory_gb: tuple[float, ...] = ()
    engines: tuple[str, ...] = tuple(ENGINES)
    threads: int = 1
    affinity: tuple[int, ...] = ()
    traps: tuple[str, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    peaks: Peaks | None = None
    reads: Reads = field(default_factory=Reads)
    providers: tuple[Provider, ...] = ()


def known_devices() -> dict[str, Path]:
    """Device files by name: the bundled ones, and the user's own, which take precedence."""
    return dict(sorted({**_files_in(Path(__file__).parent), **_own_files()}.items()))


def devices_of_family(family: str) -> list[str]:
    """The names of the devices of a family."""
    return [name for name in known_devices() if name.startswith(f"{family}-")]


def is_own(name: str) -> bool:
    """Whether the name stands for one of the user's own files."""
    return name in _own_files()


def user_folder() -> Path:
    """`$XDG_CONFIG_HOME/edgeres`, by default `~/.config/edgeres` (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    # Without a home folder os.path leaves "~", which then does not exist; pathlib would raise.
    base = Path(home) if Path(home).is_absolute() else Path(os.path.expanduser("~/.config"))  # noqa: PTH111
    return base / "edgeres"


def load_device(name_or_path: str | Path) -> DeviceFile:
    """The device with that name, or in that `.toml` file; raises `ConfigError` for anything wrong with it."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        known = known_devices()
        if str(name_or_path) not in known:
            raise ConfigError(
                f"There is no device {str(name_or_path)!r}; choose one of {', '.join(known)}, "
                "or give the path of a .toml file."
            )
        path = known[str(name_or_path)]
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
        body = read_toml(text)
    except FileNotFoundError:
        raise ConfigError(f"There is no device file {path}; known devices are {', '.join(known_devices())}.") from None
    except OSError as error:
        raise ConfigError(f"The device file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"The device file {path} is not TOML: {error}.") from None
    try:
        check(body, text)
    except ConfigError as error:
        raise ConfigError(f"The device file {path} cannot be used: {error}") from None
    return _device_file(path.stem, body)


def usable(names: Iterable[str]) -> list[DeviceFile]:
    """The devices with these names, except those with a faulty file, which `left_out` reports."""
    return [found for found in map(_load_or_error, names) if isinstance(found, DeviceFile)]


def left_out(names: Iterable[str]) -> list[str]:
    """A sentence for each of these devices with a faulty file; only the user's own files are checked."""
    own = _own_files()
    tried = (_load_or_error(name) for name in names if name in own)
    return [f"{found} It is ignored." for found in tried if isinstance(found, ConfigError)]


def _own_files() -> dict[str, Path]:
    return _files_in(user_folder() / "devices")


def _files_in(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.glob("*.toml")}


def _load_or_error(name: str) -> DeviceFile | ConfigError:
    try:
        return load_device(name)
    except ConfigError as error:
        return error


def _device_file(name: str, body: dict[str, Any]) -> DeviceFile:
    """A `body` that was checked, as a dataclass."""
    tables: dict[str, Any] = {
        "clusters": tuple(Cluster(**_frozen(part)) for part in body.get("clusters", [])),
        "peaks": Peaks(**body["peaks"]) if "peaks" in body else None,
        "reads": Reads(**_frozen(body.get("reads", {}))),
        "providers": tuple(Provider(**_frozen(part)) for part in body.get("providers", [])),
    }
    return DeviceFile(**{"name": name, "title": name, **_frozen(body), **tables})


def _frozen(part: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in part.items()}
