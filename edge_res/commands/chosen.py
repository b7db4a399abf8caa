"""What to listen with: the command line's word, else what was measured here and saved, else the device file's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_res.devices import DeviceFile
from edge_res.devices.machine import machine_name
from edge_res.engines import RunnerClass, load_engine
from edge_res.errors import EngineError
from edge_res.measured import key_of, saved_settings, user_config
from edge_res.model.bundle import Bundle
from edge_res.model.models import choose_engine


@dataclass(frozen=True)
class Chosen:
    """Engine, mode (None: the bundle's) and threads, and sentences on where they come from."""

    engine: RunnerClass
    mode: str | None
    threads: int
    told: tuple[str, ...]


def choose(
    bundles: Sequence[Bundle],
    device: DeviceFile,
    follow: bool,
    engine: str | None,
    mode: str | None,
    threads: int | None,
) -> Chosen:
    """`engine`, `mode` and `threads` are the user's word, `follow` whether what `profile --save` wrote may count.

    An engine of the user's own word sets aside what was saved: mode and threads were measured with another.
    """
    path = user_config()
    saved = saved_settings(key_of(machine_name(), bundles)) if follow and engine is None and path.is_file() else None
    told = []
    if saved is not None:
        try:
            found = f"settings from {path}: {saved.engine}, {saved.mode}, threads: {saved.threads}, measured here"
            return Chosen(load_engine(saved.engine), mode or saved.mode, threads or saved.threads, (found,))
        except EngineError as missing:
            told.append(f"{missing} So the settings from {path} are not followed; run `edgeres profile --save` again.")
    loaded, instead = choose_engine(engine, device.engines)
    return Chosen(loaded, mode, threads or device.threads, (*told, *([instead] if instead else [])))
