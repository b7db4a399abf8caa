"""Short-time Fourier transform of a stream.

Vocabulary (the one of `scipy.signal.ShortTimeFFT`, used everywhere in this package):

- `win_length`: samples of the analysis window, a periodic Hann window;
- `n_fft`: length of the transform; the windowed samples are followed by zeros up to it;
- `hop_length`: samples between two frames, at most `win_length`;
- frame `k` looks at samples `k * hop_length` to `k * hop_length + win_length`: nothing is padded at the borders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_res.flow import Samples
from edge_res.signal.ring import Ring


def hann(win_length: int) -> NDArray[np.float32]:
    """Periodic Hann window, float32 `(win_length,)` (Harris 1978, eq. 27)."""
    phase = 2 * np.pi * np.arange(win_length) / win_length
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


class Stft:
    """Turns pushed samples into spectra; each frame is computed once, whatever blocks the samples arrive in.

    Its buffer holds twice the samples that `most_frames` frames span.

    >>> stft = Stft(n_fft=512, win_length=400, hop_length=160)
    >>> stft.push(np.zeros((1000, 1), np.float32))  # how many fit
    1000
    >>> stft.take(8).shape  # (frames, channels, bins)
    (4, 1, 257)
    """

    def __init__(self, n_fft: int, win_length: int, hop_length: int, channels: int = 1, most_frames: int = 8) -> None:
        if not 1 <= hop_length <= win_length <= n_fft or win_length < 2:  # a Hann window of 1 is 0
            raise ValueError(
                f"need 1 <= hop_length <= win_length <= n_fft and win_length >= 2: "
                f"{hop_length=}, {win_length=}, {n_fft=}"
            )
        self.n_fft = n_fft
        self.win_length = win_length
        self.hop_length = hop_length
        self.channels = channels
        self.most_frames = most_frames
        self.bins = n_fft // 2 + 1
        self._window = hann(win_length)
        span = win_length + (most_frames - 1) * hop_length
        self._ring = Ring(2 * span, channels, longest_view=span)
        self._padded = np.zeros((most_frames, channels, n_fft), np.float32)

    def reset(self) -> None:
        """Start a new stream: the next sample pushed is its first."""
        self._ring.advance(self._ring.available)

    def frames_after(self, samples: int) -> int:
        """How many frames can be taken once `samples` more samples have been pushed."""
        held = self._ring.available + samples
        return max(0, (held - self.win_length) // self.hop_length + 1)

    def push(self, samples: Samples) -> int:
        """Take float32 `(n, channels)` and return how many of the `n` fit; `take` makes room."""
        n = min(len(samples), self._ring.capacity - self._ring.available)
        self._ring.write(samples[:n])
        return n

    def take(self, most: int) -> NDArray[np.complex64]:
        """The next frames, at most `most` and `most_frames`: complex64 `(n, channels, bins)`, n may be 0."""
        n = min(self.frames_after(0), most, self.most_frames)
        if n == 0:
            return np.empty((0, self.channels, self.bins), np.complex64)
        samples = self._ring.view(self.win_length + (n - 1) * self.hop_length)
        stride, item = samples.strides
        overlapping: Samples = np.ndarray(  # (n, channels, win_length), without a copy
            (n, self.channels, self.win_length), np.float32, samples, 0, (self.hop_length * stride, item, stride)
        )
        padded = self._padded[:n]
        np.multiply(overlapping, self._window, out=padded[:, :, : self.win_length])
        self._ring.advance(n * self.hop_length)
        return np.fft.rfft(padded).astype(np.complex64, copy=False)  # numpy < 2 computes in double
