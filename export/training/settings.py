"""What a training run is asked for: one frozen dataclass, from a recipe (a TOML file) and the command line."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from edge_res.config import from_mapping
from edge_res.errors import ConfigError, ModelError
from edge_res.export.datasets.augment import Variations
from edge_res.export.datasets.dataset import Splits
from edge_res.export.datasets.windows import Kind
from edge_res.signal.frontend import FrontEndParams, linear_bins

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

RECIPES = resources.files("edge_res.export") / "recipes"
# Least and most of what a recipe may say.
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
    """The fields of `FrontEndParams` that a run chooses; `mean` and `gain` are measured. 0 bins: all."""

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
        """The front-end, not normalised yet; fields that cannot be are a `ConfigError`."""
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
    """The network: its name, and what a three-stage one may have otherwise; strides are (time, frequency)."""

    arch: str = "resnet8"
    widths: tuple[int, int, int] = (16, 32, 64)
    stem_strides: tuple[int, int] = (2, 2)
    stage_strides: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (2, 2))
    time_padding: Literal["valid", "same"] = "valid"


@dataclass(frozen=True)
class TrainSettings:
    """A run. `frames` and `hop` are the window's; `patience` epochs without a better validation end it (0: never).

    `mixup` is the parameter of its beta distribution (Zhang et al. 2018), 0 for none. `teacher` is the folder of a run
    whose scores are learned, together with the labels (Hinton et al. 2015), with the weight `teacher_share`. Where
    int8 costs more than `allowed_loss` of the accuracy, the export tunes the quantized network for `int8_epochs`.
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
                        f"{name} is {one:g}, and must be {least:g} to {most:g}.".replace(" to inf", " or more")
                    )
        for name in ("snr_db", "clean_snr_db", "level_db", "noise_level_db", "gain_db"):
            low, high = getattr(self.vary, name)
            if low > high:
                raise ConfigError(f"vary.{name} is from {low:g} to {high:g}; the lower end comes first.")
        if len(set(self.labels)) < len(self.labels):
            raise ConfigError(f"The labels {', '.join(self.labels)} name one twice.")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_recipe(name: str) -> TrainSettings:
    """The settings of a recipe: one that comes along, by its name, or any TOML file, by its path."""
    path = Path(name) if "/" in name or name.endswith(".toml") else RECIPES / f"{name}.toml"
    try:
        body = tomllib.loads(path.read_text())
    except OSError:
        raise ConfigError(
            f"There is no recipe {name!r}; known are {', '.join(recipe_names())}, or name a TOML file (./my.toml)."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {name} is no TOML that can be read: {error}.") from None
    settings: TrainSettings = from_mapping(TrainSettings, body, f"The recipe {name}")
    return replace(settings, recipe=Path(name).stem)


def recipe_names() -> list[str]:
    """The recipes that come along."""
    return sorted(entry.name.removesuffix(".toml") for entry in RECIPES.iterdir() if entry.name.endswith(".toml"))
