"""Make the recording of `demo:` and the clips of the tests from speakers and noise that the default model never met.

    python scripts/make_recordings.py MANIFEST.csv

Only the `held` split of the default model's run is used: it is in neither training nor validation. Clips are taken in
the order of their hash, not by how well they are recognised; passed over are those with so much background of their own
that the word's onset cannot be told. Writes edge_res/data/demo.{flac,json} and tests/data/.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import soundfile

from edge_res.clips.manifest import UNKNOWN
from edge_res.clips.recordings import audio_sha256
from edge_res.clips.splits import Clip, Splits
from edge_res.export.datasets import augment
from edge_res.export.datasets.dataset import load

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SAID = ("yes", "no", UNKNOWN, "up", "down", "left", UNKNOWN, "right", "on", "off", "stop", "go")
SETS = ("keywords", "more-words", "noise")
RATE_HZ = 16000
FADE_S = 0.5
SNR_DB = 15.0
LEVEL_DB = -26.0
CLIPS_A_LABEL = 2
WORD_S = (0.15, 0.75)


def make_noise(parts: list[Clip]) -> tuple[np.ndarray, list[dict[str, object]]]:
    """The held stretches one after the other, at equal power, faded into each other; and where each lies."""
    fade = round(FADE_S * RATE_HZ)
    up = np.sin(np.linspace(0, np.pi / 2, fade)).astype(np.float32)[:, None]  # the two squares add to 1: constant power
    out = np.zeros((0, 1), np.float32)
    told = []
    for part in parts:
        samples = part.samples / np.float32(augment.rms(part.samples))
        start = max(0, len(out) - fade)
        if start:
            out[start:] *= up[::-1]
            samples = np.concatenate([samples[:fade] * up, samples[fade:]])
        told.append(
            {
                "recording": part.entry.group,
                "start": part.start,
                "samples": len(part.samples),
                "sha256": part.sha256,
                "demo_start_s": start / RATE_HZ,
            }
        )
        out = np.concatenate([out, np.zeros((start + len(samples) - len(out), 1), np.float32)])
        out[start:] += samples
    return out, told


def has_clear_onset(clip: Clip) -> bool:
    start, stop = augment.active_region(clip.samples, RATE_HZ)
    return WORD_S[0] <= (stop - start) / RATE_HZ <= WORD_S[1]


def make_demo(clips: list[Clip], noise: list[Clip]) -> tuple[np.ndarray, dict[str, object]]:
    """Words over background, one about every two seconds, with the time of each."""
    rng = np.random.default_rng(0)
    level = np.float32(augment.from_db(LEVEL_DB))
    background, stretches = make_noise(sorted(noise, key=lambda c: c.entry.group))
    out = background * level * np.float32(augment.from_db(-SNR_DB))
    waiting = sorted(clips, key=lambda c: c.sha256)
    spacing = (len(out) / RATE_HZ - 2.5) / len(SAID)
    words = []
    for i, label in enumerate(SAID):
        clip = next(c for c in waiting if c.entry.label == label)
        waiting.remove(clip)
        start, stop = augment.active_region(clip.samples, RATE_HZ)
        onset = round((1.5 + i * spacing + rng.uniform(-0.15, 0.15)) * RATE_HZ)
        word = augment.faded(clip.samples, RATE_HZ) * np.float32(level / augment.rms(clip.samples[start:stop]))
        augment.add_at(out, word, onset - start)
        words.append(
            {
                "label": label,
                "said": clip.entry.path.parent.name,
                "onset_s": round(onset / RATE_HZ, 3),
                "end_s": round((onset + stop - start) / RATE_HZ, 3),
                "speaker": clip.entry.group,
                "sha256": clip.sha256,
            }
        )
    pcm = np.rint(out * 32768).clip(-32768, 32767).astype(np.int16)
    told = {"rate_hz": RATE_HZ, "samples": len(pcm), "snr_db": SNR_DB, "words": words, "noise": stretches}
    return pcm, told


def main() -> None:
    data = load(Path(sys.argv[1]), KEYWORDS, RATE_HZ, sets=SETS, splits=Splits(held=0.05))
    clips, noise = data.of("held")
    clips = [clip for clip in clips if has_clear_onset(clip)]
    pcm, told = make_demo(clips, noise)
    soundfile.write(ROOT / "edge_res/data/demo.flac", pcm, RATE_HZ)
    (ROOT / "edge_res/data/demo.json").write_text(json.dumps(told, indent=1) + "\n")
    used = {word["sha256"] for word in told["words"]}  # type: ignore[attr-defined]
    rows = ["file,label,group,sha256"]
    for label in (*KEYWORDS, UNKNOWN):
        others = [c for c in sorted(clips, key=lambda c: c.sha256) if c.entry.label == label and c.sha256 not in used]
        for number, clip in enumerate(others[:CLIPS_A_LABEL]):
            name = f"{label.strip('_')}-{number}.flac"
            soundfile.write(ROOT / "tests/data" / name, np.rint(clip.samples * 32768).astype(np.int16), RATE_HZ)
            rows.append(f"{name},{label},{clip.entry.group},{audio_sha256(clip.samples)}")
    (ROOT / "tests/data/clips.csv").write_text("\n".join(rows) + "\n")
    print(f"demo.flac: {len(pcm) / RATE_HZ:.1f} s, {len(told['words'])} words; tests/data: {len(rows) - 1} clips")  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
