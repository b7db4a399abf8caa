"""A linear support vector machine on spectrogram images, as a network that exports like any other.

One weight vector per label, each label against all others (Cortes and Vapnik 1995; scikit-learn's LinearSVC). Margins
are not probabilities, so they are multiplied by a temperature that makes their softmax fit (Guo et al. 2017, section
4.2).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from edge_res.export.datasets.windows import Windows
from edge_res.export.nets.residual import Dense

_SHARE_FOR_TEMPERATURE = 0.2
_TEMPERATURES = np.geomspace(0.5, 50, 41)


def fit(windows: Windows, regularisation: float, seed: int) -> Dense:
    """Fit the classifier to training windows; `regularisation` is LinearSVC's C."""
    images = np.stack([windows.frames(i).transpose(2, 0, 1) for i in range(len(windows))])
    targets = windows.targets()
    kept = len(images) - round(_SHARE_FOR_TEMPERATURE * len(images))  # the order is random
    machine = LinearSVC(C=regularisation, random_state=seed, max_iter=5000)
    flat = images.reshape(len(images), -1)
    machine.fit(flat[:kept], targets[:kept])
    weights, biases = full(machine, len(windows.labels))
    margins = flat[kept:] @ weights.T + biases
    temperature = min(_TEMPERATURES, key=lambda t: cross_entropy(t * margins, targets[kept:]))
    _, channels, frames, bins = images.shape
    net = Dense(bins, channels, len(windows.labels), frames)
    with torch.no_grad():
        shaped = (temperature * weights).reshape(net.classifier.weight.shape).astype(np.float32)
        net.classifier.weight.copy_(torch.from_numpy(shaped))
        assert net.classifier.bias is not None
        net.classifier.bias.copy_(torch.from_numpy((temperature * biases).astype(np.float32)))
    return net.eval()


def full(machine: LinearSVC, labels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights `(labels, values)` and biases; for two labels, scikit-learn keeps only those of the second."""
    weights, biases = machine.coef_, machine.intercept_
    if labels == 2:
        weights, biases = np.concatenate([-weights, weights]) / 2, np.concatenate([-biases, biases]) / 2
    return weights, biases


def cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """Mean negative log of the softmax at the targets."""
    shifted = logits - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(targets)), targets]
    return float(losses.mean())
