"""`edgeres verify`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from edge_res.commands.options import Bundle as BundleArgument
from edge_res.commands.options import Json
from edge_res.errors import ConfigError, EngineError, ModelError
from edge_res.telling import say
from edge_res.writing import writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_res.model.bundle import Bundle
    from edge_res.model.verify import Check


def verify(
    *,
    model: BundleArgument = "default",
    audio: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Recording to compare the answers on, instead of the test stream in the bundle."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that all engines and modes compute the same integers on this machine."""
    from edge_res.model.bundle import read_bundle, read_golden
    from edge_res.model.verify import installed_engines
    from edge_res.model.verify import verify as verify_bundle

    bundle = read_bundle(model)
    engines, missing = installed_engines()
    if not engines:
        raise EngineError("No engine is installed; install one with: pip install ai-edge-litert")
    if audio is None:
        checks = list(verify_bundle(bundle, *read_golden(bundle), engines))
    else:
        checks = list(verify_bundle(bundle, frames_of(bundle, audio, engines[0]), None, engines))
    with writing():
        if as_json:
            print(json.dumps(described(bundle, checks, missing)), flush=True)
        else:
            Console().print(table(checks))
    if not as_json:
        for sentence in missing:
            say(f"not checked: {sentence.rstrip('.')}")
    if failed := [check for check in checks if not check.passed]:
        first = failed[0]
        raise ModelError(
            f"The bundle {bundle.manifest.name!r} computes wrong integers here: {len(failed)} of {len(checks)} checks "
            f"failed, first the {first.mode} model on {first.engine} against {first.against}; "
            "use another engine or mode, and please report this machine."
        )


def described(bundle: Bundle, checks: Sequence[Check], missing: Sequence[str]) -> dict[str, Any]:
    """The checks for --json."""
    return {
        "model": bundle.manifest.name,
        "checks": [check.to_dict() for check in checks],
        "missing": missing,
        "passed": all(check.passed for check in checks),
    }


def frames_of(bundle: Bundle, audio: Path, engine: str) -> NDArray[np.int8]:
    """A recording as int8 frames `(n, bins, channels)`, as `listen` would make them."""
    import numpy as np

    from edge_res.engines import load_engine
    from edge_res.model.models import load_runner
    from edge_res.model.quantization import decode, quantize
    from edge_res.signal.frontend import FrontEnd
    from edge_res.signal.resample import Resampler
    from edge_res.sources import Wanted
    from edge_res.sources.files import AudioFile

    manifest = bundle.manifest
    params = manifest.front_end
    if audio.suffix.lower() not in (".wav", ".flac", ".ogg"):
        raise ConfigError(f"--audio is {audio}, expected a WAV, FLAC or OGG file, which states its own rate.")
    source = AudioFile(str(audio), Wanted(params.sample_rate_hz, params.channels, 1.0))
    resampler = Resampler(source.rate_hz, params.sample_rate_hz, params.channels)
    front_end = FrontEnd(params, manifest.hop)
    with source:
        parts = [frames for block in source for frames in front_end.push(resampler.push(block.samples))]
    frames = np.concatenate([*parts, *front_end.push(resampler.flush()), front_end.flush()])
    if len(frames) < manifest.frames:
        raise ModelError(
            f"{audio} has {len(frames)} frames, and a window of {manifest.name!r} needs {manifest.frames}."
        )
    spec = load_runner(bundle, load_engine(engine), "window").inputs[0]
    integers = np.empty(frames.shape, spec.dtype)
    quantize(frames, spec, integers)
    return decode(integers, spec)


def table(checks: Sequence[Check]) -> Table:
    """One row a check."""
    rows = Table("engine", "mode", "against", "hops", "differing logits", "result")
    for check in checks:
        differing = f"{check.differing} of {check.values}" + (f", by at most {check.largest}" * bool(check.differing))
        result = "equal" if not check.differing else "differs, as allowed" if check.passed else "FAILED"
        rows.add_row(check.engine, check.mode, check.against, str(check.hops), differing, result)
    return rows
