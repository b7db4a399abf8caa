"""The bundle: one `.edgeres` file with the models and all that is needed to run them.

A zip of `manifest.json`, the model files and `golden.npz`. It is read in memory, never extracted to disk; the manifest
holds the SHA-256 of each other member, and a member that differs, is missing or is not listed is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.errors import ModelError
from edge_res.frontend import FrontEndParams

SCHEMA = 1
MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
_LARGEST_BYTES = 1 << 30  # of one member unpacked: a zip bomb is refused, not unpacked


@dataclass(frozen=True)
class DecideParams:
    """How scores become events.

    A label switches on when the mean of its last `smooth_hops` scores reaches its threshold, off when it falls below
    `release` times the threshold, and not on again within `refractory_s` of its last onset.
    """

    thresholds: Mapping[str, float]
    smooth_hops: int = 3
    release: float = 0.7
    refractory_s: float = 0.5


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says, except for the schema version and the hashes.

    `frames` are the columns that one decision looks at, `hop` the frames between two decisions; `delay_s` is how long
    after a sound's onset its label typically crosses the threshold. `training`, `metrics` and `tools` are for people.
    """

    name: str
    labels: tuple[str, ...]
    background: tuple[str, ...]
    front_end: FrontEndParams
    frames: int
    hop: int
    delay_s: float
    decide: DecideParams
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problem = None
        if not self.labels or len(set(self.labels)) != len(self.labels):
            problem = "its labels are empty or not unique"
        elif not set(self.background) <= set(self.labels):
            problem = f"its background labels {list(self.background)} are not all among its labels"
        elif not 1 <= self.hop <= self.frames or self.frames % self.hop:
            problem = f"its window of {self.frames} frames is not a multiple of its hop of {self.hop}"
        elif set(self.decide.thresholds) != set(self.labels) - set(self.background):
            problem = "its thresholds are not those of its labels"
        elif not all(0 < value <= 1 for value in self.decide.thresholds.values()):
            problem = "its thresholds are not all above 0 and at most 1"
        elif not (self.decide.smooth_hops >= 1 and 0 < self.decide.release <= 1 and self.decide.refractory_s >= 0):
            problem = f"its decide parameters {asdict(self.decide)} are out of range"
        if problem:
            raise ModelError(f"The bundle {self.name!r} cannot be used: {problem}.")

    def to_json(self, members: Mapping[str, bytes]) -> bytes:
        body = {
            "schema": SCHEMA,
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "front_end": self.front_end.to_dict(),
            "decide": asdict(self.decide),
            "members": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(members.items())},
        }
        return json.dumps(body, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Manifest:
        return cls(
            name=str(body["name"]),
            labels=tuple(str(label) for label in body["labels"]),
            background=tuple(str(label) for label in body["background"]),
            front_end=FrontEndParams.from_dict(body["front_end"]),
            frames=int(body["frames"]),
            hop=int(body["hop"]),
            delay_s=float(body["delay_s"]),
            decide=DecideParams(**body["decide"]),
            training=dict(body["training"]),
            metrics=dict(body["metrics"]),
            tools=dict(body["tools"]),
        )


@dataclass(frozen=True)
class Bundle:
    """A manifest and the members beside it, by file name."""

    manifest: Manifest
    members: Mapping[str, bytes]

    def member(self, name: str) -> bytes:
        """The content of member `name`, or a `ModelError` that names what there is."""
        try:
            return self.members[name]
        except KeyError:
            held = ", ".join(sorted(self.members))
            raise ModelError(
                f"The bundle {self.manifest.name!r} holds no {name}, only {held}; export it again."
            ) from None


def default_bundle_path() -> Path:
    """Where the bundled model lies (the package is never installed as a zip)."""
    return Path(str(resources.files("edge_res") / "data" / "default.edgeres"))


def read_bundle(path: str | Path) -> Bundle:
    """Read and check a bundle; `default` is the one in the package. Anything wrong with it is a `ModelError`."""
    path = default_bundle_path() if path == "default" else Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"There is no bundle {path}; `default` is the model that comes along.") from None
    except OSError as error:
        raise ModelError(f"The bundle {path} cannot be read: {error.strerror}.") from None
    try:
        return _parse(raw)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _parse(raw: bytes) -> Bundle:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for entry in archive.infolist():
                if entry.file_size > _LARGEST_BYTES:
                    raise ModelError(f"The member {entry.filename} is too large to be a model.")
            found = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        ValueError,
    ) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"This is not a whole .edgeres bundle ({error}); copy it again or export it again.") from None
    try:
        body = json.loads(found.pop(MANIFEST))
        schema = body["schema"]
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"This is not an .edgeres bundle: it has no readable {MANIFEST}.") from None
    if schema != SCHEMA:
        raise ModelError(
            f"The bundle has schema {schema!r} and this edge_res reads schema {SCHEMA}; "
            "update edge_res or export the model again."
        )
    try:
        hashes = dict(body["members"])
        manifest = Manifest.from_dict(body)
    except ModelError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"The bundle's {MANIFEST} does not say what it must: {error!r}.") from None
    for name in sorted(set(hashes) | set(found)):
        if name not in found:
            raise ModelError(f"The bundle lacks its member {name}; copy it again or export it again.")
        if hashlib.sha256(found[name]).hexdigest() != hashes.get(name):
            raise ModelError(
                f"The bundle's member {name} is not what was exported (its SHA-256 differs); "
                "copy it again or export it again."
            )
    return Bundle(manifest, found)


def write_bundle(path: str | Path, bundle: Bundle) -> None:
    """Write a bundle in whole or not at all; the same content gives the same bytes."""
    path = Path(path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        members = {MANIFEST: bundle.manifest.to_json(bundle.members), **bundle.members}
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    write_whole(path, packed.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def pack_golden(frames: NDArray[np.int8], logits: NDArray[np.int8]) -> bytes:
    """`golden.npz`: int8 `frames` `(n, frames, bins, channels)` and the exact int8 `logits` `(n, labels)`."""
    packed = io.BytesIO()
    np.savez_compressed(packed, frames=frames, logits=logits)
    return packed.getvalue()


def read_golden(bundle: Bundle) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The golden inputs and outputs of a bundle, as `pack_golden` took them."""
    try:
        with np.load(io.BytesIO(bundle.member(GOLDEN)), allow_pickle=False) as golden:
            return golden["frames"], golden["logits"]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"The bundle's {GOLDEN} cannot be read: {error}.") from None
