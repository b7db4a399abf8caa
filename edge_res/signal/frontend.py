"""The front-end: samples to normalised log spectra, with the same code for training and for listening.

A whole recording is a stream of one block: there is no second implementation. All parameters are in `FrontEndParams`,
which is part of the bundle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_res.errors import ModelError, SignalError
from edge_res.flow import Frames, Samples
from edge_res.signal.stft import Stft

_GROUPS = 4  # transformed at once if available, as in a recording; the FFT of a row does not depend on other rows
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class FrontEndParams:
    """The parameters of the front-end; `mean` and `gain` are the fixed per-bin normalisation, `(bins,)` each.

    A frame is ``(log(power + log_floor) - mean) * gain``, where power is ``|STFT|²`` per bin (`log-stft`) or summed
    under triangular mel filters (`log-mel`). Bins reach from `low_hz`, which is above DC (an accelerometer has gravity
    there), to `high_hz`. Raises `ModelError` for parameters that do not fit together.
    """

    kind: Literal["log-mel", "log-stft"]
    sample_rate_hz: int
    channels: int
    n_fft: int
    win_length: int
    hop_length: int
    low_hz: float
    high_hz: float
    log_floor: float
    bins: int
    mean: tuple[float, ...]
    gain: tuple[float, ...]

    def __post_init__(self) -> None:
        problem = None
        counts = (self.sample_rate_hz, self.channels, self.n_fft, self.win_length, self.hop_length, self.bins)
        numbers = (self.low_hz, self.high_hz, self.log_floor, *self.mean, *self.gain)
        not_counts = [count for count in counts if type(count) is not int or abs(count) > 1 << 30]
        not_numbers = [number for number in numbers if not _is_float32(number)]
        if not_counts:
            problem = f"rates, lengths and counts must be whole numbers, found {not_counts[0]!r:.80}"
        elif not_numbers:
            problem = f"frequencies, log_floor, mean and gain must be finite float32, found {not_numbers[0]!r:.80}"
        elif self.kind not in ("log-mel", "log-stft"):
            problem = f"kind is {self.kind!r:.80}, expected log-mel or log-stft"
        elif not 1 <= self.hop_length <= self.win_length <= self.n_fft <= 1 << 20 or self.win_length < 2:
            lengths = f"{self.hop_length}, {self.win_length}, {self.n_fft}"
            problem = f"need 1 <= hop_length <= win_length <= n_fft and win_length >= 2, found {lengths}"
        elif self.sample_rate_hz < 1 or not 1 <= self.channels <= 64:
            problem = f"{self.sample_rate_hz} Hz with {self.channels} channels is out of range"
        elif not 0 < self.low_hz < self.high_hz <= self.sample_rate_hz / 2:
            problem = (
                f"need 0 < low_hz < high_hz <= half of {self.sample_rate_hz} Hz, found {self.low_hz} and {self.high_hz}"
            )
        elif self.log_floor < _SMALLEST:
            problem = f"log_floor must be a positive float32, found {self.log_floor}"
        elif not 1 <= self.bins <= self.n_fft:
            problem = f"{self.bins} bins do not fit n_fft {self.n_fft}"
        elif not len(self.mean) == len(self.gain) == self.bins:
            problem = f"mean and gain have {len(self.mean)} and {len(self.gain)} values for {self.bins} bins"
        if problem:
            raise ModelError(f"Invalid front-end parameters: {problem}.")
        if self.kind == "log-stft":
            first, last = linear_bins(self)
            if last - first != self.bins:
                raise ModelError(
                    f"Invalid front-end parameters: {self.low_hz} to {self.high_hz} Hz are {last - first} bins of the "
                    f"STFT, not {self.bins}."
                )

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> FrontEndParams:
        """Read what `to_dict` wrote; raises `ModelError` for anything else."""
        names = {field.name for field in fields(cls)}
        if not isinstance(body, dict) or set(body) != names:
            raise ModelError(f"Invalid front-end parameters: expected {', '.join(sorted(names))}.")
        for key in ("mean", "gain"):
            if not isinstance(body[key], list):
                raise ModelError(f"Invalid front-end parameters: {key} is not a list.")
        return cls(**{**body, "mean": tuple(body["mean"]), "gain": tuple(body["gain"])})

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "mean": list(self.mean), "gain": list(self.gain)}

    def samples_of(self, frames: int) -> int:
        """Samples that `frames` frames span."""
        return self.win_length + (frames - 1) * self.hop_length


def _is_float32(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


def linear_bins(params: FrontEndParams) -> tuple[int, int]:
    """The first STFT bin whose centre lies within `low_hz` and `high_hz`, and one past the last."""
    centres = np.arange(params.n_fft // 2 + 1) * (params.sample_rate_hz / params.n_fft)
    inside = np.flatnonzero((centres >= params.low_hz) & (centres <= params.high_hz))
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0)


def mel_filters(params: FrontEndParams) -> NDArray[np.float32]:
    """Triangular filters, float32 `(n_fft // 2 + 1, bins)`, of equal width in mel and peak 1.

    Mel scale: 2595 log10(1 + f / 700), O'Shaughnessy 1987, as in HTK (The HTK Book, 5.4).
    """

    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    corners = 700 * (10 ** (np.linspace(mel(params.low_hz), mel(params.high_hz), params.bins + 2) / 2595) - 1)
    centres = np.arange(params.n_fft // 2 + 1)[:, None] * (params.sample_rate_hz / params.n_fft)
    rising = (centres - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - centres) / (corners[2:] - corners[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


class FrontEnd:
    """Turns pushed samples into frames, bit for bit the same however the samples are split into blocks.

    Frames are computed and returned in whole groups of `group`, a hop of the model; `flush` returns the last ones. So
    frame `k` is always computed in row `k % group`: the rounding of a matrix product depends on its shape and on the
    row, but not on what is in the other rows.

    >>> params = FrontEndParams("log-mel", 16000, 1, n_fft=512, win_length=400, hop_length=160, low_hz=60.0,
    ...                         high_hz=7600.0, log_floor=1e-6, bins=40, mean=(0.0,) * 40, gain=(1.0,) * 40)
    >>> front_end = FrontEnd(params, group=8)
    >>> [frames.shape for frames in front_end.push(np.zeros((3000, 1), np.float32))]  # (frames, bins, channels)
    [(8, 40, 1), (8, 40, 1)]
    >>> front_end.flush().shape
    (1, 40, 1)
    """

    def __init__(self, params: FrontEndParams, group: int = 8) -> None:
        self.params = params
        self.group = group
        self._stft = Stft(params.n_fft, params.win_length, params.hop_length, params.channels, _GROUPS * group)
        self._filters = mel_filters(params) if params.kind == "log-mel" else None
        self._linear = slice(*linear_bins(params))
        self._squares = np.zeros((group, params.channels, self._stft.bins, 2), np.float32)
        self._power = np.zeros((group, params.channels, self._stft.bins), np.float32)
        self._log = np.zeros((group, params.channels, params.bins), np.float32)
        self._floor = np.float32(params.log_floor)
        self._mean = np.array(params.mean, np.float32)
        self._gain = np.array(params.gain, np.float32)

    def reset(self) -> None:
        """Start a new stream: the next sample pushed is its first."""
        self._stft.reset()

    def push(self, samples: Samples) -> Iterator[Frames]:
        """Take finite float32 samples `(n, channels)`; yield the frames of each group that they complete.

        Each group is a new array, float32 `(group, bins, channels)`, computed when it is asked for: exhaust the
        iterator. Raises `SignalError` for samples of another shape.
        """
        if samples.ndim != 2 or samples.shape[1] != self.params.channels:
            raise SignalError(
                f"The samples have the shape {samples.shape}, but the model expects (samples, {self.params.channels})."
            )
        taken = 0
        while taken < len(samples):
            taken += self._stft.push(samples[taken:])
            while groups := min(_GROUPS, self._stft.frames_after(0) // self.group):
                spectra = self._stft.take(groups * self.group)
                for at in range(0, len(spectra), self.group):
                    yield self._frames(spectra[at : at + self.group])

    def flush(self) -> Frames:
        """The frames of the last, incomplete group, at the end of the stream; only `reset` may follow."""
        return self._frames(self._stft.take(self.group))

    def _frames(self, spectra: NDArray[np.complex64]) -> Frames:
        """The frames of complex64 spectra `(n, channels, bins)`, at most a group."""
        n = len(spectra)
        squares, log = self._squares, self._log
        parts = spectra.view(np.float32).reshape(n, *squares.shape[1:])
        np.multiply(parts, parts, out=squares[:n])
        np.add(squares[..., 0], squares[..., 1], out=self._power)
        if self._filters is None:
            log[...] = self._power[:, :, self._linear]
        else:
            np.matmul(
                self._power.reshape(-1, self._stft.bins),
                self._filters,
                out=log.reshape(-1, self.params.bins),
            )
        np.add(log, self._floor, out=log)
        np.log(log, out=log)
        np.subtract(log, self._mean, out=log)
        np.multiply(log, self._gain, out=log)
        frames: Frames = log[:n].transpose(0, 2, 1).copy()
        return frames


def compute_frames(params: FrontEndParams, samples: Samples, group: int = 8) -> Frames:
    """All frames of a whole recording, `(samples, channels)` to `(frames, bins, channels)`, computed as a stream."""
    front_end = FrontEnd(params, group)
    return np.concatenate([*front_end.push(samples), front_end.flush()])
