"""The bundle: one `.edgeres` file with the models and all that is needed to run them.

It is a zip of `manifest.json`, the model files and `golden.npz`, read in memory and never extracted to disk. The
manifest holds the SHA-256 of each other file; a file that differs, is missing or is not listed is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_res.choices import BUNDLED
from edge_res.errors import ModelError
from edge_res.model.heads import DEFAULT_HEAD, HEADS
from edge_res.signal.frontend import FrontEndParams
from edge_res.writing import replace_file

SCHEMA = 1
MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
_LARGEST_BYTES = 1 << 30  # of all files unpacked: a zip bomb is refused, not unpacked
_MOST_SMOOTHED = 10_000  # hops, which are minutes
_LARGEST_WHOLE = 1 << 53  # up to which a float holds every whole number
# What zipfile and zlib raise on damaged files; RuntimeError where a flag marks a file as encrypted.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)

T = TypeVar("T")


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
    """The content of `manifest.json` without the schema version and the hashes.

    `frames` is the number of columns that one decision looks at, `hop` the frames between two decisions; `delay_s` is
    how long after a sound's onset its label typically crosses the threshold; `head` is one of `HEADS`. `network`
    (parameters, multiply-adds), `training`, `metrics` and `tools` are for people.
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
    network: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    head: str = DEFAULT_HEAD

    def __post_init__(self) -> None:
        problem = None
        decide = self.decide
        if not self.labels or len(set(self.labels)) != len(self.labels):
            problem = "its labels are empty or not unique"
        elif not set(self.background) <= set(self.labels):
            problem = f"its background labels {list(self.background)} are not all among its labels"
        elif not 1 <= self.hop <= self.frames or self.frames % self.hop:
            problem = f"its window of {self.frames} frames is not a multiple of its hop of {self.hop}"
        elif not math.isfinite(self.delay_s):
            problem = f"its delay of {self.delay_s} s is not a time"
        elif set(decide.thresholds) != set(self.labels) - set(self.background):
            problem = "its thresholds are not those of its labels"
        elif not all(0 < value <= 1 for value in decide.thresholds.values()):
            problem = "its thresholds are not all above 0 and at most 1"
        elif not (
            1 <= decide.smooth_hops <= _MOST_SMOOTHED
            and 0 < decide.release <= 1
            and 0 <= decide.refractory_s < math.inf
        ):
            problem = f"its decide parameters {asdict(decide)} are out of range"
        elif self.head not in HEADS:
            problem = f"its head {self.head!r:.80} is unknown, expected {' or '.join(HEADS)}; update edge_res"
        if problem:
            raise ModelError(f"The bundle {self.name!r} cannot be used: {problem}.")

    def to_json(self, files: Mapping[str, bytes]) -> bytes:
        body = {
            "schema": SCHEMA,
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "front_end": self.front_end.to_dict(),
            "decide": asdict(self.decide),
            "members": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        }
        if self.head == DEFAULT_HEAD:
            del body["head"]
        return json.dumps(body, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Manifest:
        """Read what `to_json` wrote; raises `ModelError` for a missing key or a value of another type."""
        decide = _value(body, "decide", dict)
        return cls(
            name=_value(body, "name", str),
            labels=_items(_value(body, "labels", list), str),
            background=_items(_value(body, "background", list), str),
            front_end=FrontEndParams.from_dict(_value(body, "front_end", dict)),
            frames=_value(body, "frames", int),
            hop=_value(body, "hop", int),
            delay_s=_value(body, "delay_s", float),
            decide=DecideParams(
                thresholds={
                    key: _value(decide["thresholds"], key, float) for key in _value(decide, "thresholds", dict)
                },
                smooth_hops=_value(decide, "smooth_hops", int),
                release=_value(decide, "release", float),
                refractory_s=_value(decide, "refractory_s", float),
            ),
            training=_value(body, "training", dict),
            metrics=_value(body, "metrics", dict),
            network=_value(body, "network", dict),
            tools=_value(body, "tools", dict),
            head=_value({"head": DEFAULT_HEAD, **body}, "head", str),
        )


def _value(body: dict[str, Any], key: str, kind: type[T]) -> T:
    """`body[key]`, which must have that type in JSON: `float` accepts whole numbers, `int` accepts no booleans."""
    if key not in body:
        raise ModelError(f"The bundle's {MANIFEST} lacks {key!r}; export the model again.")
    value = body[key]
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < _LARGEST_WHOLE else math.inf
    if type(value) is not kind:
        raise ModelError(f"In the bundle's {MANIFEST}, {key!r} is {value!r:.80}, which is not of type {kind.__name__}.")
    return value


def _items(values: list[Any], kind: type[T]) -> tuple[T, ...]:
    if not all(type(value) is kind for value in values):
        raise ModelError(f"In the bundle's {MANIFEST}, not all of {values!r:.80} are of type {kind.__name__}.")
    return tuple(values)


@dataclass(frozen=True)
class Bundle:
    """A manifest and the files beside it, by name."""

    manifest: Manifest
    files: Mapping[str, bytes]

    def file(self, name: str) -> bytes:
        """The content of the file `name`; raises a `ModelError` that lists the files there are."""
        try:
            return self.files[name]
        except KeyError:
            held = ", ".join(sorted(self.files))
            raise ModelError(
                f"The bundle {self.manifest.name!r} has no {name}, only {held}; export it again."
            ) from None


def bundle_path(name: str | Path) -> Path:
    """The path of a bundle; those in `BUNDLED` are inside the package, which is never installed as a zip."""
    return Path(str(resources.files("edge_res") / "data" / f"{name}.edgeres")) if name in BUNDLED else Path(name)


def read_bundle(path: str | Path) -> Bundle:
    """Read and check a bundle, one of `BUNDLED` or a file; raises `ModelError` for anything wrong with it."""
    path = bundle_path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"There is no bundle {path}; the bundled ones are {' and '.join(BUNDLED)}.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ModelError(f"The bundle {path} cannot be read: {getattr(error, 'strerror', error)}.") from None
    try:
        return _parse(raw)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _parse(raw: bytes) -> Bundle:
    found = _unzip(raw)
    try:
        body = json.loads(found.pop(MANIFEST))
        schema = body["schema"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelError(f"This is not an .edgeres bundle: it has no readable {MANIFEST}.") from None
    if type(schema) is not int or schema != SCHEMA:
        raise ModelError(
            f"The bundle has schema {schema!r}, but this edge_res reads schema {SCHEMA}; "
            "update edge_res or export the model again."
        )
    manifest = Manifest.from_dict(body)
    hashes = _value(body, "members", dict)
    for name in sorted(set(hashes) | set(found)):
        if name not in found:
            raise ModelError(f"The bundle lacks its file {name}; copy it again or export it again.")
        if hashlib.sha256(found[name]).hexdigest() != hashes.get(name):
            raise ModelError(
                f"{name} in the bundle is not what was exported (its SHA-256 differs); "
                "copy it again or export it again."
            )
    return Bundle(manifest, found)


def _unzip(raw: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > _LARGEST_BYTES:
                raise ModelError(f"This bundle is too large: it unpacks to more than {_LARGEST_BYTES:,} bytes.")
            if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
                raise zipfile.BadZipFile("unknown compression")  # bz2 and lzma raise errors of their own
            if len({entry.filename for entry in entries}) < len(entries):
                raise zipfile.BadZipFile("a file appears twice")
            return {entry.filename: archive.read(entry) for entry in entries}
    except ModelError:
        raise
    except _ZIP_ERRORS as error:
        raise ModelError(
            f"This is not a whole .edgeres bundle ({error!s:.100}); copy it again or export it again."
        ) from None


def write_bundle(path: str | Path, bundle: Bundle) -> None:
    """Write a bundle whole or not at all; the same content gives the same bytes. Raises `OutputError`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        files = {MANIFEST: bundle.manifest.to_json(bundle.files), **dict(sorted(bundle.files.items()))}
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    replace_file(Path(path), packed.getvalue())


def pack_golden(stream: NDArray[np.int8], logits: NDArray[np.int8]) -> bytes:
    """`golden.npz`: an int8 `stream` of frames `(n, bins, channels)` and the exact int8 `logits` `(hops, labels)`.

    The first row of logits belongs to the first `frames` frames of the stream, each further row to a hop later.
    """
    packed = io.BytesIO()
    np.savez_compressed(packed, stream=stream, logits=logits)
    return packed.getvalue()


def read_golden(bundle: Bundle) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The golden stream and logits of a bundle, as they were given to `pack_golden`."""
    packed = bundle.file(GOLDEN)
    manifest = bundle.manifest
    try:
        if not zipfile.is_zipfile(io.BytesIO(packed)):
            raise ValueError("it is not an .npz file")
        with np.load(io.BytesIO(packed), allow_pickle=False) as golden:
            stream, logits = golden["stream"], golden["logits"]
        if not all(isinstance(array, np.ndarray) and array.dtype == np.int8 for array in (stream, logits)):
            raise ValueError("its stream and logits are not int8 arrays")
        hops = (len(stream) - manifest.frames) // manifest.hop + 1
        expected = (
            (*stream.shape[:1], manifest.front_end.bins, manifest.front_end.channels),
            (hops, len(manifest.labels)),
        )
        if hops < 1 or (stream.shape, logits.shape) != expected:
            raise ValueError(f"its stream {stream.shape} and logits {logits.shape} do not match the manifest")
    except (KeyError, *_ZIP_ERRORS) as error:
        raise ModelError(f"The bundle's {GOLDEN} cannot be read: {error}.") from None
    return stream, logits


def bundle_hash(bundles: Sequence[Bundle]) -> str:
    """SHA-256 of what a bundle, or an ensemble, computes: of its files, whatever its name and thresholds are."""
    digest = hashlib.sha256()
    for bundle in bundles:
        for name, content in sorted(bundle.files.items()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()
