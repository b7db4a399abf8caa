"""What `edgeres evaluate` prints for a person."""

from __future__ import annotations

import io

from rich.console import Console

from edge_res.commands.evaluate import show


def test_names_that_look_like_markup_are_printed_as_they_are() -> None:
    labels = ("[unk]", "[/x]")
    told = {"model": "[/m]", "mode": "step", "engine": "LiteRT", "left_out": ["[red]: 3 clips"]}
    metrics = {
        "accuracy": 0.75, "interval": (0.3, 0.9), "n": 4, "confusion": [[2, 0], [1, 1]],
        "per_label": {"[unk]": 1.0, "[/x]": 0.5}, "per_label_n": {"[unk]": 2, "[/x]": 2},
        "per_label_interval": {"[unk]": (0.3, 1.0), "[/x]": (0.1, 0.9)},
        "per_group": {"[b]": {"accuracy": 0.5, "n": 2}, "[/b]": {"accuracy": 1.0, "n": 2}},
    }  # fmt: skip
    out = io.StringIO()
    show(Console(file=out, width=100), told, metrics, labels)
    lines = out.getvalue().splitlines()
    assert lines[:2] == [
        "left out: [red]: 3 clips",
        "[/m], int8 step on LiteRT: accuracy 75.0% (30.0% to 90.0%), n = 4",
    ]
    assert lines[3].split()[:2] == ["[unk]", "2"]
    assert lines[4].split()[0] == "[/x]"
    assert lines[4].rstrip().endswith("[unk] 1")
    assert lines[5] == "2 groups, the worst: [b] 50% of 2, [/b] 100% of 2"
