"""`edgeres evaluate`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from edge_res.commands.options import Bundles, Data, Engine, EngineThreads, Json, Mode, Sets
from edge_res.telling import plain, say
from edge_res.writing import writing


def evaluate(
    *,
    model: Bundles,
    data: Data,
    sets: Sets = None,
    unseen: Annotated[
        bool,
        typer.Option(
            "--unseen",
            help="Use only clips of the groups on which the model was validated, not those it was trained on.",
        ),
    ] = False,
    engine: Engine = None,
    mode: Mode = None,
    threads: EngineThreads = 1,
    as_json: Json = False,
) -> None:
    """Measure a model's accuracy on clips, and its misses and false accepts on long recordings."""
    from edge_res.evaluation.clips import evaluate as evaluate_clips
    from edge_res.model.ensemble import read_ensemble
    from edge_res.model.models import choose_engine

    runner, instead = choose_engine(engine)
    if instead:
        say(instead)
    ensemble = read_ensemble(model)
    models = ensemble.load(runner, mode, threads or 1)
    columns = (BarColumn(), TextColumn("{task.completed} of {task.total} clips"), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("clips", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        metrics, _, left_out = evaluate_clips(ensemble.chains(models), data, tuple(sets or ()), unseen, tell)
    manifest = ensemble.manifest
    told = {"model": manifest.name, "engine": models[0].runner.engine, "mode": models[0].mode, "left_out": left_out}
    with writing():
        if as_json:
            print(json.dumps({**told, **metrics, "labels": manifest.labels}, ensure_ascii=False), flush=True)
        else:
            show(Console(), told, metrics, manifest.labels)


def show(console: Console, told: dict[str, Any], metrics: dict[str, Any], labels: tuple[str, ...]) -> None:
    """The figures for a person."""
    for sentence in told["left_out"]:
        console.print(f"left out: {plain(sentence)}", highlight=False, markup=False, soft_wrap=True)
    if "stream" in metrics:
        console.print(sentence_on(metrics["stream"]), highlight=False, markup=False, soft_wrap=True)
    if not metrics["n"]:
        return
    low, high = metrics["interval"]
    console.print(
        Text(f"{plain(told['model'])}, int8 {told['mode']} on {told['engine']}: accuracy ")
        + Text(f"{metrics['accuracy']:.1%}", style="bold")
        + Text(f" ({low:.1%} to {high:.1%}), n = {metrics['n']}"),
        highlight=False,
        soft_wrap=True,
    )
    table = Table("label", "n", "accuracy", "95 % interval", "taken for", box=None)
    for i, label in enumerate(labels):
        if label not in metrics["per_label"]:
            continue
        low, high = metrics["per_label_interval"][label]
        row = metrics["confusion"][i]
        others = sorted((j for j in range(len(labels)) if j != i and row[j]), key=lambda j: -row[j])
        taken = ", ".join(f"{labels[j]} {row[j]}" for j in others[:4])
        table.add_row(
            Text(plain(label)), str(metrics["per_label_n"][label]), f"{metrics['per_label'][label]:.1%}",
            f"{low:.1%} to {high:.1%}", Text(plain(taken)),
        )  # fmt: skip
    console.print(table, highlight=False)
    groups = metrics.get("per_group", {})
    if len(groups) > 1:
        shares = sorted(groups.items(), key=lambda item: item[1]["accuracy"])
        text = ", ".join(f"{name} {one['accuracy']:.0%} of {one['n']}" for name, one in shares[:5])
        console.print(f"{len(groups)} groups, the worst: {plain(text)}", highlight=False, markup=False, soft_wrap=True)


def sentence_on(stream: dict[str, Any]) -> str:
    """The figures of long recordings in a sentence."""
    low, high = stream["miss_rate_interval"]
    words = (
        f"{stream['missed']} of {stream['words']} words missed ({low:.1%} to {high:.1%}), " if stream["words"] else ""
    )
    return (
        f"{stream['recordings']} long recordings, {60 * stream['hours']:.1f} minutes: {words}"
        f"{stream['false_accepts']} false accepts, {stream['false_accepts_an_hour']:g} an hour"
    )
