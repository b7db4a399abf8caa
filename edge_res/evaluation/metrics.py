"""How good a classifier is: accuracy with its interval, in all, per label and per group, and the confusion."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_res.clips.manifest import SILENCE

_Z = 1.96  # standard deviations to each side that hold 95 % of a normal distribution


def wilson(right: int, n: int) -> list[float]:
    """The 95 % interval of a share, `right` of `n` (Wilson 1927)."""
    if not n:
        return [0.0, 1.0]
    p, z = right / n, _Z
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return [round(centre - half, 4), round(centre + half, 4)]


def measure(
    found: NDArray[np.int64], targets: NDArray[np.int64], labels: Sequence[str], groups: Sequence[str] = ()
) -> dict[str, Any]:
    """Compare the label indices `found` `(n,)` with `targets` `(n,)`.

    `confusion[i][j]` counts examples of label i that were taken for label j. Labels and groups without an example are
    left out.
    """
    right = found == targets
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (targets, found), 1)
    metrics = {
        **counted(right),
        "per_label": {},
        "per_label_interval": {},
        "per_label_n": {},
        "confusion": confusion.tolist(),
    }
    for i, label in enumerate(labels):
        if (targets == i).any():
            one = counted(right[targets == i])
            metrics["per_label"][label] = one["accuracy"]
            metrics["per_label_interval"][label] = one["interval"]
            metrics["per_label_n"][label] = one["n"]
    if groups:
        of_group: dict[str, list[bool]] = defaultdict(list)
        for group, good in zip(groups, right.tolist(), strict=True):
            of_group[group].append(good)
        metrics["per_group"] = {group: counted(np.array(goods)) for group, goods in sorted(of_group.items())}
    return metrics


def counted(right: NDArray[np.bool_]) -> dict[str, Any]:
    """Accuracy, its interval, and the number of examples."""
    n, good = len(right), int(right.sum())
    return {"accuracy": round(good / n, 4) if n else 0.0, "interval": wilson(good, n), "n": n}


def judged_on(same_session: Sequence[str], labels: Sequence[str]) -> str:
    """What the accuracy was measured on; for labels in `same_session`, later parts of what was trained on."""
    if not same_session:
        return "on groups that it was not trained on"
    if {*same_session} >= {label for label in labels if label != SILENCE}:
        return "on later parts of the same session"
    return f"on groups that it was not trained on; for {', '.join(same_session)}, on later parts of the same session"
