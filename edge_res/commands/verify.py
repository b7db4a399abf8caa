"""`edgeres verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge_res.engines import load_engine
from edge_res.errors import ConfigError, EngineError, ModelError
from edge_res.model.bundle import Bundle, read_bundle, read_golden
from edge_res.model.models import load_runner
from edge_res.model.quantization import quantize
from edge_res.model.verify import Check, installed_engines, verify
from edge_res.signal.frontend import FrontEnd
from edge_res.signal.resample import Resampler
from edge_res.sources import Wanted
from edge_res.sources.files import AudioFile
from edge_res.writing import writing


def run(model: str, audio: Path | None, as_json: bool) -> None:
    """Compare all engines and modes on this machine; a `ModelError` after the table when one is not as it must be."""
    bundle = read_bundle(model)
    engines, missing = installed_engines()
    if not engines:
        raise EngineError("No engine is installed; install one with: pip install ai-edge-litert")
    if audio is None:
        checks = list(verify(bundle, *read_golden(bundle), engines))
    else:
        checks = list(verify(bundle, frames_of(bundle, audio, engines[0]), None, engines))
    if as_json:
        body = {"model": bundle.manifest.name, "checks": [check.to_dict() for check in checks], "missing": missing}
        with writing():
            print(json.dumps({**body, "passed": all(check.passed for check in checks)}), flush=True)
    else:
        with writing():
            Console().print(table(checks))
        for sentence in missing if sys.stderr is not None else ():
            print(f"edgeres: not checked: {sentence}", file=sys.stderr)
    if failed := [check for check in checks if not check.passed]:
        first = failed[0]
        raise ModelError(
            f"The bundle {bundle.manifest.name!r} does not compute here what it must: {len(failed)} of {len(checks)} "
            f"checks failed, first the {first.mode} model on {first.engine} against {first.against}; "
            "use another engine or mode, and please report this machine."
        )


def frames_of(bundle: Bundle, audio: Path, engine: str) -> NDArray[np.int8]:
    """A recording as int8 frames `(n, bins, channels)`, as `listen` would make them."""
    manifest = bundle.manifest
    params = manifest.front_end
    if audio.suffix.lower() not in (".wav", ".flac", ".ogg"):
        raise ConfigError(f"--audio takes a WAV, FLAC or OGG file, which tells its own rate; {audio} is none.")
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
    return (integers ^ 0x80).view(np.int8) if spec.dtype == np.uint8 else integers


def table(checks: list[Check]) -> Table:
    """One row a check."""
    rows = Table("engine", "mode", "against", "hops", "differing logits", "result")
    for check in checks:
        differing = f"{check.differing} of {check.values}" + (f", by at most {check.largest}" * bool(check.differing))
        result = "equal" if not check.differing else "differs, as it may" if check.passed else "FAILED"
        rows.add_row(check.engine, check.mode, check.against, str(check.hops), differing, result)
    return rows
