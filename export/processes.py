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
    cuda = torch.cuda.is_available()
    number, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if count == 1:
        yield Process(0, 1, device)
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Process(number, count, device)
    finally:
        distributed.destroy_process_group()
