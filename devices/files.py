"""Device files: facts, read and checked."""

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
    """Cores that are alike: what they are called, how many, their highest clock, and the features that matter here."""

    core: str
    count: int
    clock_mhz: float
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Peaks:
    """What the fastest core does at most, 10⁹ multiply-adds of int8 a second and 10⁹ flops; the memory's 10⁹ bytes."""

    clock_mhz: float
    int8_gmacs: float
    fp32_gflops: float
    memory_gbs: float


@dataclass(frozen=True)
class Reads:
    """Where a device tells of itself: types of thermal zones (none: all), and the ways of `clocks`, `throttling` and
    `power`; `rails` are those whose sum is what the device takes (none: all)."""

    temperature: tuple[str, ...] = ()
    clock: str = CPUFREQ
    throttling: tuple[str, ...] = THROTTLING_WAYS
    power: str = "none"
    rails: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provider:
    """An execution provider of ONNX Runtime on the device: whether it is never to be used, or untested; and why."""

    name: str
    use: str
    why: str
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceFile:
    """A device as its file has it.

    `name` is that of the file without `.toml`, `title` what people call the device. `recognised_by` are texts of which
    one is in the device tree's model or compatible texts, or in DMI's name, of such a device; none, and it is any
    machine of one of the `architectures` (as `uname -m` has them; none: of all). `engines` are tried in that order,
    with `threads`; `affinity` are the cores to stay on, none: all. `traps` are for people.
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


def user_folder() -> Path:
    """`$XDG_CONFIG_HOME/edgeres`, by default below `~/.config` (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    # os.path's leaves "~" where a user has no home, pathlib's raises: then there is just no such folder.
    base = Path(home) if Path(home).is_absolute() else Path(os.path.expanduser("~/.config"))  # noqa: PTH111
    return base / "edgeres"


def known_devices() -> dict[str, Path]:
    """The files by their names: those that come along, and the user's own, which replace them."""
    return dict(sorted({**_files_in(Path(__file__).parent), **_own_files()}.items()))


def is_own(name: str) -> bool:
    """Whether a name means a file of the user's."""
    return name in _own_files()


def _own_files() -> dict[str, Path]:
    return _files_in(user_folder() / "devices")


def _files_in(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.glob("*.toml")}


def devices_of_family(family: str) -> list[str]:
    """The names of the devices of a family: `jetson-nano` is one of `jetson`."""
    return [name for name in known_devices() if name.startswith(f"{family}-")]


def usable(names: Iterable[str]) -> list[DeviceFile]:
    """The devices of these names, without those whose file cannot be used: of them `left_out` tells."""
    return [found for found in map(_tried, names) if isinstance(found, DeviceFile)]


def left_out(names: Iterable[str]) -> list[str]:
    """A sentence on each of these devices whose file cannot be used; only a file of the user's can be such a one."""
    own = _own_files()  # so that only they are read for it
    tried = (_tried(name) for name in names if name in own)
    return [f"{found} It is left out." for found in tried if isinstance(found, ConfigError)]


def _tried(name: str) -> DeviceFile | ConfigError:
    try:
        return load_device(name)
    except ConfigError as error:
        return error


def load_device(name_or_path: str | Path) -> DeviceFile:
    """The device of that name, or in that `.toml` file; whatever is wrong with it is a `ConfigError`."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        known = known_devices()
        if str(name_or_path) not in known:
            raise ConfigError(
                f"There is no device {str(name_or_path)!r}; known are {', '.join(known)}, "
                "or give the path of a .toml file."
            )
        path = known[str(name_or_path)]
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors begin a file with a mark
        body = read_toml(text)
    except FileNotFoundError:
        raise ConfigError(f"There is no device file {path}; known devices are {', '.join(known_devices())}.") from None
    except OSError as error:
        raise ConfigError(f"The device file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise ConfigError(f"The device file {path} is not TOML: {error}.") from None
    try:
        check(body, text)
    except ConfigError as error:
        raise ConfigError(f"The device file {path} cannot be used: {error}") from None
    return _device_file(path.stem, body)


def _device_file(name: str, body: dict[str, Any]) -> DeviceFile:
    """A checked `body` as a dataclass."""
    tables: dict[str, Any] = {
        "clusters": tuple(Cluster(**_frozen(part)) for part in body.get("clusters", [])),
        "peaks": Peaks(**body["peaks"]) if "peaks" in body else None,
        "reads": Reads(**_frozen(body.get("reads", {}))),
        "providers": tuple(Provider(**_frozen(part)) for part in body.get("providers", [])),
    }
    return DeviceFile(**{"name": name, "title": name, **_frozen(body), **tables})


def _frozen(part: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in part.items()}
