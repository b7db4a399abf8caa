"""How much data does a task need? Train the same recipe on more and more groups, validate on the same unseen ones.

    python scripts/learning_curve.py data/manifest.csv --recipe keywords-tiny --set keywords --set noise

A group is a speaker, a session or a machine. The validation groups are those that the recipe's split chooses, for every
row the same; the training groups are the first of one fixed order, so that a larger training contains the smaller. Each
training takes as many steps as one of `--epochs` on all groups, and is validated with the float network on windows in
noise. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edge_res.clips.manifest import NOISE, SILENCE
from edge_res.export.training.settings import read_recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--recipe", default="keywords-tiny")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--groups", default="5,10,20,40,80", help="training groups of each row; all is added")
    parser.add_argument("--epochs", type=int, default=20, help="of the training on all groups")
    asked = parser.parse_args()

    with asked.manifest.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not asked.set or row["set"] in asked.set]
    splits = read_recipe(asked.recipe).splits
    background = [row for row in rows if row["label"] in (NOISE, SILENCE)]
    words = [row for row in rows if row["label"] not in (NOISE, SILENCE)]
    validation = [row for row in words if splits.split_of(row["group"], 0) == "validation"]
    training = [row for row in words if splits.split_of(row["group"], 0) == "train"]
    order = sorted({row["group"] for row in training}, key=lambda group: hashlib.sha256(group.encode()).digest())

    print("| groups | clips of labels | accuracy of windows in noise (95 %) | n |\n|---|---|---|---|")
    for count in [*(int(text) for text in asked.groups.split(",")), len(order)]:
        chosen = set(order[:count])
        clips = [row for row in training if row["group"] in chosen]
        epochs = round(asked.epochs * len(training) / len(clips))
        found = trained(asked.manifest.parent, [*background, *validation, *clips], asked.recipe, epochs)
        low, high = found["interval"]
        print(
            f"| {count} | {len(clips)} | {found['accuracy']:.1%} ({low:.1%} to {high:.1%}) | {found['n']} |", flush=True
        )


def trained(folder: Path, rows: list[dict[str, str]], recipe: str, epochs: int) -> dict[str, Any]:
    """The metrics of a training on these rows of a manifest in `folder`."""
    with tempfile.TemporaryDirectory() as place:
        manifest = Path(place, "manifest.csv")
        with manifest.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows({**row, "file": folder.resolve() / row["file"]} for row in rows)
        run = Path(place, "run")
        command = [sys.executable, "-m", "edge_res.cli", "train", manifest, "--recipe", recipe, "--out", run]
        for name in sorted({row["set"] for row in rows}):
            command += ["--set", name]
        subprocess.run([*command, "--epochs", str(epochs)], check=True, stdout=subprocess.DEVNULL)
        metrics: dict[str, Any] = json.loads((run / "metrics.json").read_text())
        return metrics


if __name__ == "__main__":
    main()
