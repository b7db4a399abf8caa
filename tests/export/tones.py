"""A small data set that trains in seconds: two tones in hiss, by many groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16000
TONES_HZ = {"low": 500.0, "high": 2500.0}


def tone(rng: np.random.Generator, hz: float) -> np.ndarray:
    """A quarter of a second of a tone in half a second of faint noise."""
    samples = rng.normal(0, 0.002, RATE_HZ // 2)
    at = np.arange(RATE_HZ // 4)
    samples[RATE_HZ // 8 :][: len(at)] += 0.3 * np.sin(2 * np.pi * hz * rng.uniform(0.9, 1.1) * at / RATE_HZ)
    return (samples * 32768).astype(np.int16)


def write_corpus(folder: Path, groups: int = 50) -> Path:
    """Two tones by each group, and a recording of hiss; returns the manifest."""
    rng = np.random.default_rng(0)
    rows = ["file,label,group"]
    for group in range(groups):
        for label, hz in TONES_HZ.items():
            soundfile.write(folder / f"{label}-{group}.flac", tone(rng, hz), RATE_HZ)
            rows.append(f"{label}-{group}.flac,{label},g{group}")
    soundfile.write(folder / "hiss.flac", rng.normal(0, 1000, 40 * RATE_HZ).astype(np.int16), RATE_HZ)
    rows.append("hiss.flac,noise,hiss")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder / "manifest.csv"
