"""Damages bundles in thousands of ways: does anything but a `ModelError` come of it? `python scripts/fuzz.py [COUNT]`.

Every mutation damages the file itself, or a file in it, which its hashes must find: nothing may crash, hang or answer
wrongly. Exit code 1 if anything did. With `--forged` a model is damaged and its hash made right again, as only somebody
who means it would: the engine must refuse it or the golden stream must, or the answers are right. What LiteRT or ONNX
Runtime make of a forged file is theirs: a crash of theirs is counted and told. Each batch runs in a process of its own.
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edge_res.engines import load_engine
from edge_res.errors import ModelError
from edge_res.model.bundle import Bundle, bundle_path, read_bundle, write_bundle
from edge_res.model.models import load_model
from edge_res.model.verify import prove

BATCH = 100
LIMIT_S = 120


def mutate(rng: np.random.Generator, content: bytes) -> bytes:
    """Flip, overwrite, cut, insert or repeat some bytes."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at, length = int(rng.integers(len(changed))), int(rng.integers(1, 64))
        match int(rng.integers(6)):
            case 0:
                changed[at] ^= 1 << int(rng.integers(8))
            case 1:
                changed[at : at + length] = rng.bytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = rng.bytes(length)
            case 4:
                changed[at : at + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(4, "little")
            case _:
                del changed[max(1, at) :]
    return bytes(changed)


def damage(rng: np.random.Generator, whole: Bundle, path: Path) -> None:
    """Write a bundle of which the file, or a file in it, is damaged."""
    raw = bundle_path("default").read_bytes()
    if rng.random() < 0.5:
        path.write_bytes(mutate(rng, raw))
        return
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(path, "w") as new:
        names = old.namelist()
        victim = str(rng.choice(names))
        for name in names:
            content = old.read(name)
            new.writestr(name, mutate(rng, content) if name == victim else content)


def forge(rng: np.random.Generator, whole: Bundle, path: Path) -> None:
    """Write a bundle of which a file is damaged and its hash right."""
    member = str(rng.choice(sorted(whole.files)))
    write_bundle(path, replace(whole, files={**whole.files, member: mutate(rng, whole.files[member])}))


def outcome(path: Path, engine: str, mode: str) -> str:
    """What comes of listening with a bundle."""
    try:
        bundle = read_bundle(path)
        prove(bundle, load_model(bundle, load_engine(engine), mode))
    except ModelError:
        return "refused"
    return "right answers"


def batch(seed: int, count: int, spoil: Callable[[np.random.Generator, Bundle, Path], None]) -> None:
    """Print what came of each mutation, a line each, so that the one that crashes is known."""
    whole = read_bundle("default")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.edgeres"
        for i in range(count):
            rng = np.random.default_rng((seed, i))
            spoil(rng, whole, path)
            engine, mode = str(rng.choice(["litert", "onnxruntime"])), str(rng.choice(["step", "window"]))
            print(outcome(path, engine, mode), flush=True)


def main() -> None:
    forged = "--forged" in sys.argv
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    if "--batch" in sys.argv:
        batch(numbers[0], numbers[1], forge if forged else damage)
        return
    count = numbers[0] if numbers else 2000
    seen: Counter[str] = Counter()
    for seed in range(-(-count // BATCH)):
        command = [sys.executable, __file__, "--batch", str(seed), str(min(BATCH, count - seed * BATCH))]
        try:
            run = subprocess.run([*command, *["--forged"] * forged], capture_output=True, text=True, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            seen["hung"] += 1
            continue
        told = run.stdout.splitlines()
        seen.update(told)
        if run.returncode:
            seen["crashed"] += 1
            print(f"seed {seed}, mutation {len(told)}: exit code {run.returncode}\n{run.stderr[-500:]}")
    print(", ".join(f"{number} {what}" for what, number in sorted(seen.items())))
    sys.exit(int(bool(set(seen) - {"refused", "right answers"}) and not forged))


if __name__ == "__main__":
    main()
