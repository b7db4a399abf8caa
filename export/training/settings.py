"""The settings of a training run: one frozen dataclass, from a recipe (a TOML file) and the command line."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from edge_res.clips.splits import Splits
from edge_res.config import from_mapping, read_toml
from edge_res.errors import ConfigError, ModelError
from edge_res.export.datasets.augment import Variations
from edge_res.export.datasets.windows import Kind
from edge_res.signal.frontend import FrontEndParams, linear_bins

RECIPES = resources.files("edge_res.export") / "recipes"
# The least and the most that a recipe may ask for.
_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("frames", 1, math.inf),
    ("hop", 1, math.inf),
    ("epochs", 1, math.inf),
    ("batch", 1, math.inf),
    ("learning_rate", 0, 10),
    ("weight_decay", 0, 10),
    ("warm_up", 0, 0.99),
    ("label_smoothing", 0, 0.99),
    ("mixup", 0, math.inf),
    ("ema", 0, 1),
    ("clip_norm", 1e-6, math.inf),
    ("patience", 0, math.inf),
    ("teacher_share", 0, 1),
    ("int8_epochs", 0, math.inf),
    ("allowed_loss", 0, 1),
    ("seed", 0, math.inf),
    ("threads", 1, math.inf),
    ("net.widths", 1, math.inf),
    ("net.stem_strides", 1, math.inf),
    ("front_end.channels", 1, 8),
    ("vary.clean", 0, 1),
    ("vary.preceded", 0, 1),
    ("vary.noisy", 0, 1),
    ("vary.speed", 0, 1),
    ("vary.warp", 0, 0.9),
    ("vary.time_mask", 0, math.inf),
    ("vary.frequency_mask", 0, math.inf),
)


@dataclass(frozen=True)
class Spectrogram:
    """The fields of `FrontEndParams` that a run chooses; `mean` and `gain` are measured. 0 `bins` means all."""

    kind: Literal["log-mel", "log-stft"] = "log-mel"
    sample_rate_hz: int = 16000
    channels: int = 1
    n_fft: int = 512
    win_length: int = 480
    hop_length: int = 160
    low_hz: float = 20.0
    high_hz: float = 7600.0
    log_floor: float = 1e-6
    bins: int = 40

    def params(self) -> FrontEndParams:
        """The front-end, not normalised yet; raises `ConfigError` for fields that are not possible."""
        bins = self.bins
        try:
            if not bins:
                one = FrontEndParams(**{**asdict(self), "kind": "log-mel", "bins": 1}, mean=(0.0,), gain=(1.0,))
                first, last = linear_bins(one)
                bins = last - first
            return FrontEndParams(**{**asdict(self), "bins": bins}, mean=(0.0,) * bins, gain=(1.0,) * bins)
        except ModelError as error:
            raise ConfigError(str(error)) from None


@dataclass(frozen=True)
class Net:
    """The network: its name, and the shape of a three-stage one; strides are (time, frequency)."""

    arch: str = "resnet8"
    widths: tuple[int, int, int] = (16, 32, 64)
    stem_strides: tuple[int, int] = (2, 2)
    stage_strides: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (2, 2))
    time_padding: Literal["valid", "same"] = "valid"


@dataclass(frozen=True)
class TrainSettings:
    """A run: windows of `frames`, a decision every `hop`; `patience` epochs without progress end it (0: never).

    `mixup` is the parameter of its beta distribution (Zhang et al. 2018), 0 for none. `teacher` is the folder of a run
    whose scores are learned beside the labels, with the weight `teacher_share` (Hinton et al. 2015). If int8 costs more
    than `allowed_loss` of the accuracy, the export tunes the quantized network for `int8_epochs`.
    """

    recipe: str = ""
    labels: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    windows: Kind = "words"
    frames: int = 136
    hop: int = 8
    epochs: int = 40
    batch: int = 32
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: float = 0.08
    label_smoothing: float = 0.1
    mixup: float = 0.0
    ema: float = 0.995
    clip_norm: float = 5.0
    patience: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    teacher: str = ""
    teacher_share: float = 0.7
    int8_epochs: int = 4
    allowed_loss: float = 0.003
    seed: int = 0
    threads: int = 1
    net: Net = field(default_factory=Net)
    front_end: Spectrogram = field(default_factory=Spectrogram)
    splits: Splits = field(default_factory=Splits)
    vary: Variations = field(default_factory=Variations)

    def __post_init__(self) -> None:
        for name, least, most in _BOUNDS:
            value: Any = self
            for part in name.split("."):
                value = getattr(value, part)
            for one in value if isinstance(value, tuple) else (value,):
                if not least <= one <= most:
                    raise ConfigError(
                        f"{name} is {one:g}, expected {least:g} to {most:g}.".replace(" to inf", " or more")
                    )
        for name in ("snr_db", "clean_snr_db", "level_db", "noise_level_db", "gain_db"):
            low, high = getattr(self.vary, name)
            if low > high:
                raise ConfigError(f"vary.{name} is from {low:g} to {high:g}; the lower bound comes first.")
        if len(set(self.labels)) < len(self.labels):
            raise ConfigError(f"The labels {', '.join(self.labels)} contain one twice; name each once.")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_recipe(name: str) -> TrainSettings:
    """The settings of a recipe: a bundled one by its name, or any TOML file by its path."""
    path = Path(name) if "/" in name or name.endswith(".toml") else RECIPES / f"{name}.toml"
    try:
        body = read_toml(path.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError(
            f"There is no recipe {name!r}; choose from {', '.join(recipe_names())}, or name a TOML file (./my.toml)."
        ) from None
    except ValueError as error:
        raise ConfigError(f"The recipe {name} is not valid TOML: {error}.") from None
    settings: TrainSettings = from_mapping(TrainSettings, body, f"The recipe {name}")
    return replace(settings, recipe=Path(name).stem)


def recipe_names() -> list[str]:
    """The names of the bundled recipes."""
    return sorted(entry.name.removesuffix(".toml") for entry in RECIPES.iterdir() if entry.name.endswith(".toml"))
