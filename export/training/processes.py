"""One training in several processes, on one machine or many: started by `torchrun`, joined by PyTorch's DDP."""

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
    """This process: its number among `count`, and the device that it computes on. Number 0 reports and writes."""

    number: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.number == 0

    def share(self, batch: int) -> slice:
        """Which of a batch's examples are this process's."""
        if batch % self.count:
            raise ConfigError(
                f"A batch of {batch} cannot be shared by {self.count} processes; choose a multiple of {self.count}."
            )
        each = batch // self.count
        return slice(self.number * each, (self.number + 1) * each)

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over all processes."""
        if self.count == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def agreed(self, value: T) -> T:
        """The value of process 0; the others may be on machines that do not see its files."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, 0, device=self.device)
        return values[0]

    def loaders(self, threads: int) -> int:
        """How many processes make windows for this one: as many as its machine has spare cores."""
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return min(_LOADERS, max(1, len(os.sched_getaffinity(0)) // local - threads))


@contextmanager
def joined(threads: int) -> Iterator[Process]:
    """This process, joined to the others if `torchrun` started several; on a GPU if there is one."""
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
    """The GPU of process `local` on this machine, or the CPU if it has no GPU.

    On a GPU, too, a resumed training ends with the same weights, and float32 is float32: otherwise cuDNN would choose
    algorithms by their speed, and round factors to 10 bits (TensorFloat-32).
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if local >= (gpus := torch.cuda.device_count()):
        raise ConfigError(
            f"Process {local + 1} on this machine has no GPU of its own, as there are {gpus}; start one process per "
            "GPU, or hide the GPUs: CUDA_VISIBLE_DEVICES= torchrun …"
        )
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device
