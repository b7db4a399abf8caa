"""One training in several processes, on one machine or many: what `torchrun` starts, joined by PyTorch's DDP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed, nn

from edge_res.errors import ConfigError

T = TypeVar("T")
_LOADERS = 8  # at most; more would take longer to start than they save


@dataclass(frozen=True)
class Process:
    """This process: its number among `count`, and the device that it computes on. Number 0 tells and writes."""

    number: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.number == 0

    def share(self, batch: int) -> slice:
        """Which of a batch's examples are this process's."""
        if batch % self.count:
            raise ConfigError(f"A batch of {batch} cannot be shared by {self.count} processes; choose a multiple.")
        each = batch // self.count
        return slice(self.number * each, (self.number + 1) * each)

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over all processes."""
        if self.count == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def agreed(self, value: T) -> T:
        """What process 0 says; the others may be on machines that do not see its files."""
        if self.count == 1:
            return value
        said = [value]
        distributed.broadcast_object_list(said, 0, device=self.device)
        return said[0]

    def loaders(self, threads: int) -> int:
        """How many processes make windows for this one: as many as its machine has cores to spare."""
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return min(_LOADERS, max(1, len(os.sched_getaffinity(0)) // local - threads))


@contextmanager
def joined(threads: int) -> Iterator[Process]:
    """This process among those that `torchrun` started, if it did; on a GPU where there is one."""
    torch.set_num_threads(threads)
    number, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = device_of(int(os.environ.get("LOCAL_RANK", "0")))
    if count == 1:
        yield Process(0, 1, device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Process(number, count, device)
    finally:
        distributed.destroy_process_group()


def device_of(local: int) -> torch.device:
    """The GPU of process `local` of this machine, the processor where there is none.

    On a GPU, too, a training that is resumed ends in the same weights, and float32 is float32: cuDNN would choose among
    algorithms by their speed, and round the factors to 10 bits (TensorFloat-32).
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if local >= (gpus := torch.cuda.device_count()):
        raise ConfigError(
            f"Process {local + 1} of this machine has no GPU of its own, it has {gpus}; start as many processes as it "
            "has GPUs, or hide them: CUDA_VISIBLE_DEVICES= torchrun …"
        )
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device
