"""The material of a bundle from an ONNX file made elsewhere, and the TOML file that describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge_res.config import fitted, from_mapping, read_toml
from edge_res.errors import ConfigError, ExportError, ModelError
from edge_res.export.bundling.material import Material
from edge_res.export.datasets.calibration import frames_of_folder, windows_of
from edge_res.export.formats.onnx_nodes import load_onnx
from edge_res.export.int8.step import refuse_part_hop
from edge_res.model.bundle import DecideParams, Manifest
from edge_res.signal.frontend import FrontEndParams

_THRESHOLD = 0.6


@dataclass(frozen=True)
class Description:
    """The TOML file; docs/reference/onnx.md explains its keys. `calibration` is relative to the folder of the file."""

    labels: tuple[str, ...]
    hop: int
    front_end: dict  # type: ignore[type-arg]  # the fields of FrontEndParams
    calibration: str = ""
    background: tuple[str, ...] = ()
    delay_s: float = 0.0
    thresholds: dict = field(default_factory=dict)  # type: ignore[type-arg]  # by label


def from_onnx(model: Path, config: Path, calibration: Path | None = None) -> Material:
    """The material of an ONNX file; `calibration` is a folder of recordings to use instead of the one in `config`.

    Raises `ExportError` if the file or its description cannot be used, `DataError` if the recordings cannot.
    """
    network = read_whole(model)
    described = read_description(config, calibration is not None)
    try:
        params = FrontEndParams.from_dict(described.front_end)
    except ModelError as error:
        raise ExportError(f"{config}: {error}") from None
    frames = frames_of_input(network, params)
    refuse_part_hop(frames, described.hop)
    decide = DecideParams(thresholds_of(config, described))
    try:
        Manifest(
            model.stem, described.labels, described.background, params, frames, described.hop, described.delay_s, decide
        )
    except ModelError as error:
        raise ExportError(f"{config}: {error}") from None
    folder = calibration or config.parent / described.calibration
    stream = frames_of_folder(folder, params, described.hop)
    return Material(
        network=network,
        labels=described.labels,
        background=described.background,
        front_end=params,
        hop=described.hop,
        calibration=windows_of(stream, frames, folder),
        stream=stream,
        decide=decide,
        delay_s=described.delay_s,
    )


def read_whole(path: Path) -> bytes:
    """The content of a file; raises `ExportError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}.") from None


def read_description(config: Path, calibrated: bool) -> Description:
    """The description, with types checked; if `calibrated`, it need not name a folder of recordings."""
    try:
        body = read_toml(read_whole(config).decode())
    except ValueError as error:
        raise ExportError(f"{config} is not valid TOML: {error}.") from None
    needed = {"labels", "hop", "front_end"} | (set() if calibrated else {"calibration"})
    if missing := needed - set(body):
        raise ExportError(f"{config} lacks the keys {sorted(missing)}.")
    try:
        described: Description = from_mapping(Description, body, str(config))
    except ConfigError as error:
        raise ExportError(str(error)) from None
    if described.hop < 1:
        raise ExportError(f"{config}: hop is {described.hop}, expected 1 frame or more.")
    return described


def thresholds_of(config: Path, described: Description) -> dict[str, float]:
    """The threshold of each label that can fire."""
    labels = [label for label in described.labels if label not in described.background]
    if unknown := set(described.thresholds) - set(labels):
        raise ExportError(f"{config}: thresholds names {sorted(unknown)}, expected only labels out of {labels}.")
    try:
        given = {key: fitted(float, value, f"thresholds: {key}") for key, value in described.thresholds.items()}
    except ConfigError as error:
        raise ExportError(f"{config}: {error}") from None
    return dict.fromkeys(labels, _THRESHOLD) | given


def frames_of_input(network: bytes, params: FrontEndParams) -> int:
    """The frames of an ONNX file's input `(1, channels, frames, bins)`, which must be the front-end's image."""
    graph = load_onnx(network).graph
    constants = {array.name for array in graph.initializer}
    shapes = [
        tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in graph.input
        if value.name not in constants
    ]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1::2] != (params.channels, params.bins) or shapes[0][2] < 1:
        raise ExportError(
            f"The network's inputs have the shapes {shapes}, expected one of (1, {params.channels}, frames, "
            f"{params.bins}) for this front-end, all fixed."
        )
    return int(shapes[0][2])
