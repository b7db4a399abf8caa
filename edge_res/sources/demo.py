"""The bundled recording."""

from __future__ import annotations

from importlib import resources

from edge_res.errors import ConfigError
from edge_res.sources import Wanted
from edge_res.sources.files import AudioFile


class Demo(AudioFile):
    """`demo:`, words of the default model, spoken over room noise (edge_res/data/ATTRIBUTION.md)."""

    def __init__(self, text: str, want: Wanted) -> None:
        if text != "demo:":
            raise ConfigError(f"There is no demo {text!r}; the only one is demo:.")
        super().__init__(str(resources.files("edge_res") / "data" / "demo.flac"), want, name=text)
