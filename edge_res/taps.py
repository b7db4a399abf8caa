"""What `edgeres listen` does about sessions: recording one, replaying one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from edge_res.devices.machine import processor
from edge_res.model.bundle import Bundle, DecideParams, bundle_hash
from edge_res.model.models import Model, ModelWithLogits, StepModel, WindowModel
from edge_res.session import Header, RecordedBundle, RecordedSource, Session
from edge_res.sinks.recorder import SessionRecorder, SessionWriter
from edge_res.sources import Source
from edge_res.sources.replay import Compared, Replayed, ReplayedModel
from edge_res.version import __version__


def start_recording(
    path: Path,
    sources: Sequence[Source],
    bundles: Sequence[Bundle],
    model: StepModel | WindowModel,
    decide: DecideParams,
    frames: bool,
) -> SessionRecorder:
    """A sink that records these sources into a new file; `model` states engine and mode. See `SessionRecorder`."""
    header = Header(
        time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        edge_res=__version__,
        numpy=np.__version__,
        processor=processor(Path("/")),
        engine=model.runner.engine,
        mode=model.mode,
        thresholds=dict(decide.thresholds),
        sources=tuple(RecordedSource(each.name, each.rate_hz, each.channels, each.unit) for each in sources),
        bundles=tuple(map(describe_bundle, bundles)),
    )
    return SessionRecorder(SessionWriter(path, header), [source.name for source in sources], frames)


def describe_bundle(bundle: Bundle) -> RecordedBundle:
    manifest = bundle.manifest
    shape = (manifest.hop, manifest.front_end.bins, manifest.front_end.channels)
    return RecordedBundle(manifest.name, bundle_hash([bundle]), len(manifest.labels), shape)


class Taps:
    """What is put around the models of a run: `recorder` records what they answer, a replay compares it.

    `picked` is true if the model hears only some channels. `notes` are sentences on how sessions are replayed.
    """

    def __init__(
        self, bundles: Sequence[Bundle], decide: DecideParams, recorder: SessionRecorder | None, picked: bool
    ) -> None:
        self.notes: list[str] = []
        self._bundles = bundles
        self._decide = decide
        self._recorder = recorder
        self._picked = picked
        self._compared: dict[Session, list[ReplayedModel]] = {}

    def around(self, models: Sequence[ModelWithLogits], source: Source, place: int) -> Sequence[Model]:
        """The models of the source at that place, the first being 0, with what is to be around them."""
        if self._recorder:
            models = [self._recorder.tapped(model, place, k) for k, model in enumerate(models)]
        if not isinstance(source, Replayed):
            return models
        session, why_not = source.session, incomparable(source, self._bundles, self._picked)
        if source.place == 0:
            self.notes += session_notes(session, self._decide, why_not)
        if why_not:
            return models
        replayed = [ReplayedModel(model, session, source.place, k) for k, model in enumerate(models)]
        self._compared.setdefault(session, []).extend(replayed)
        return replayed

    def findings(self) -> Iterator[str]:
        """Sentences on what the replays found."""
        for session, models in self._compared.items():
            yield from replay_findings(session.header, models)


def session_notes(session: Session, decide: DecideParams, why_not: str) -> Iterator[str]:
    """Sentences on how a session will be replayed: what is cut off, and what is not as it was recorded."""
    if session.cut:
        yield session.cut
    before = session.header.thresholds
    if why_not:
        yield f"{session.path} is replayed and not compared: {why_not}"
    elif before != dict(decide.thresholds):
        changed = " ".join(f"--threshold {label}={value:g}" for label, value in before.items())
        yield f"{session.path} was recorded with other thresholds, so events may differ: {changed}"


def incomparable(source: Replayed, bundles: Sequence[Bundle], picked: bool) -> str:
    """Why logits are not to be compared with the recorded ones; empty where they are."""
    before, now = source.session.header.bundles, tuple(map(describe_bundle, bundles))
    if [bundle.sha256 for bundle in before] != [bundle.sha256 for bundle in now]:
        names = [" + ".join(f"{bundle.name} ({bundle.sha256[:8]})" for bundle in each) for each in (before, now)]
        return f"it was recorded with {names[0]} and is replayed with {names[1]}"
    return "--channel changes what the model hears" if picked else ""


def replay_findings(header: Header, models: Sequence[ReplayedModel]) -> Iterator[str]:
    """Sentences on what a replay found."""
    found = sum((model.compared for model in models), Compared())
    yield str(found)
    then, now = (header.numpy, header.processor), (np.__version__, processor(Path("/")))
    if found.logits_differ + found.integers_differ and then != now:
        yield "it was recorded with numpy {} on {}, and this is numpy {} on {}".format(*then, *now)
