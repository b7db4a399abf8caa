"""Quantization-aware fine-tuning: the network learns on with the rounding that int8 will bring.

Weights are rounded a channel at a time and what a convolution reads as a whole, with the straight-through gradient
(Jacob et al. 2018, section 3). Batch normalisation folds into a channel's scale, so rounding before it is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from edge_res.export.learning import Teacher, learn_epoch, new_learner
from edge_res.export.processes import Process
from edge_res.export.runs import Run, network_of
from edge_res.export.windows import Windows

_SLOWER = 0.05  # of the training's learning rate
_CALIBRATION_WINDOWS = 256


class RoundedConv2d(nn.Conv2d):
    """A convolution of rounded values by rounded weights, kept in float so that it can learn."""

    input_scale: float
    input_zero_point: int

    def forward(self, x: Tensor) -> Tensor:
        x = torch.fake_quantize_per_tensor_affine(x, self.input_scale, self.input_zero_point, 0, 255)
        scales = self.weight.detach().abs().amax((1, 2, 3)).clamp_min(1e-12) / 127
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(self.weight, scales, zeros, 0, -127, 127)
        rounded: Tensor = self._conv_forward(x, weight, self.bias)
        return rounded


def fine_tune(run: Run, epoch_windows: Callable[[int], Windows], epochs: int) -> Run:
    """The run with its network tuned for int8; its own scores in float are the teacher's."""
    settings = replace(
        run.settings,
        learning_rate=run.settings.learning_rate * _SLOWER,
        epochs=epochs,
        precision="float32",
        mixup=0.0,
        ema=0.99,
        teacher_share=0.7,
    )
    process = Process(0, 1, torch.device("cpu"))
    torch.manual_seed(settings.seed)
    model = copy_of(run)
    first = epoch_windows(0)
    images = torch.stack([first[i][0] for i in range(min(len(first), _CALIBRATION_WINDOWS))])
    round_convolutions(model, images)
    learner = new_learner(model, settings, max(1, len(first) // settings.batch) * epochs)
    teacher = Teacher.of(run.model, run.front_end, run.front_end, process.device)
    for epoch in range(epochs):
        for _ in learn_epoch(learner, model, epoch_windows(epoch), settings, process, teacher, epoch):
            pass
    tuned = copy_of(run)
    tuned.load_state_dict(learner.averaged.state_dict())
    return replace(run, model=tuned.eval())


def copy_of(run: Run) -> nn.Module:
    """A network of its own with the run's weights."""
    model = network_of(run.settings, run.front_end, len(run.labels)).build()
    model.load_state_dict(run.model.state_dict())
    return model


def round_convolutions(model: nn.Module, images: Tensor) -> None:
    """Make each convolution a rounded one, its input's range measured on images `(n, channels, frames, bins)`."""
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    ranges: dict[nn.Conv2d, tuple[float, float]] = dict.fromkeys(convolutions, (0.0, 0.0))
    with measuring(ranges), torch.no_grad():
        model.eval()
        for part in torch.split(images, 64):
            model(part)
    for conv, (low, high) in ranges.items():
        scale = max(high - low, 1e-6) / 255
        conv.__class__ = RoundedConv2d  # the weights, their names and the copies of them stay what they are
        conv.input_scale = scale  # type: ignore[assignment]
        conv.input_zero_point = round(-low / scale)  # type: ignore[assignment]


@contextmanager
def measuring(ranges: dict[nn.Conv2d, tuple[float, float]]) -> Iterator[None]:
    """While it lasts, the lowest and highest value that each convolution reads is noted."""

    def note(conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(conv, nn.Conv2d)
        low, high = ranges[conv]
        ranges[conv] = min(low, float(inputs[0].min())), max(high, float(inputs[0].max()))

    hooks = [conv.register_forward_pre_hook(note) for conv in ranges]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
