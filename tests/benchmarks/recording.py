"""What recording a session costs: microseconds a hop, and megabytes an hour.

python tests/benchmarks/recording.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import process_time

import numpy as np

from edge_res.engines import load_engine
from edge_res.loop import Stream, listen
from edge_res.model.bundle import read_bundle
from edge_res.model.ensemble import Chain
from edge_res.model.models import load_model
from edge_res.profiling.timing import Synthetic
from edge_res.sinks import Sink
from edge_res.sinks.health import HealthReport
from edge_res.sinks.tee import Tee
from edge_res.taps import Taps, start_recording

ROUNDS = 7
HOPS = 4000


def main() -> None:
    bundle = read_bundle("default")
    manifest = bundle.manifest
    hop = manifest.hop * manifest.front_end.hop_length
    hop_s = hop / manifest.front_end.sample_rate_hz
    model = load_model(bundle, load_engine("litert"))
    print("recorded            µs a hop   more   MB an hour")
    best: dict[str, float] = {}
    for name, frames, wide in (
        ("nothing", None, False),
        ("16-bit samples", False, False),
        ("16-bit, and frames", True, False),
        ("float32 samples", False, True),
    ):
        size = 0
        for _ in range(ROUNDS):
            source = Synthetic(manifest.front_end.sample_rate_hz, 1, hop)
            if not wide:
                source._blocks = np.rint(source._blocks * 32768).astype(np.float32) / np.float32(32768)
            source.hops = HOPS
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "a.edgerec"
                recorder = (
                    None
                    if frames is None
                    else start_recording(path, [source], [bundle], model, manifest.decide, frames)
                )
                taps = Taps([bundle], manifest.decide, recorder, picked=False)
                (tapped,) = taps.around([model], source, 0)
                stream = Stream(source, [Chain(manifest, tapped)], manifest.decide)
                sinks: list[Sink] = [HealthReport(None), *([recorder] if recorder else [])]
                sink = Tee(sinks)
                sink.start([source], manifest)
                began_s = process_time()
                listen([stream], [source], sink)
                spent_us = 1e6 * (process_time() - began_s) / HOPS
                sink.finish()
                model.reset()
                best[name] = min(best.get(name, spent_us), spent_us)
                size = path.stat().st_size if recorder else 0
        more = best[name] - best["nothing"]
        print(f"{name:20} {best[name]:7.1f} {more:7.1f} {size / (HOPS * hop_s) * 3600 / 1e6:9.1f}")


if __name__ == "__main__":
    main()
