"""Data parallelism over threads: a batch is cut into shards, and each thread learns some of them.

The number of shards is part of the recipe, the number of threads isn't: gradients are added in the
order of the shards, so one core and eight give the same bytes. A thread computes alone (torch's own
threads spin while they wait for each other, many times a step, which a busy machine turns into
seconds); torch releases Python's lock while it computes.

Several workers (see `distributed`) divide the shards among them; their gradients are summed after
those of a worker's own shards.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import torch
from torch import nn

from textwright.configs import ModelConfig, TrainingSettings

_Result = TypeVar("_Result")
_Module = TypeVar("_Module", bound=nn.Module)

MOST_SHARDS = 8
_SAMPLES, _POSITIONS = 16, 512
"""Of a shard at least: smaller matrix products don't fill a core. Those of a recurrent layer have a
row for each sample, those of attention models one for each position."""


def resolve_shards(
    settings: TrainingSettings, config: ModelConfig, device: torch.device
) -> TrainingSettings:
    """`settings` with the number of shards chosen where it is 0: by model and batch alone, so that
    all machines agree. Only on a processor: a GPU computes the batch as one."""
    if settings.shards:
        return settings
    rows, least = settings.batch_size, _SAMPLES
    if config.order == "windows":
        rows, least = settings.batch_size * config.block_size, _POSITIONS
    shards = 1
    while device.type == "cpu" and 2 * shards <= min(
        MOST_SHARDS, settings.batch_size, rows // least
    ):
        shards *= 2
    return settings.model_copy(update={"shards": shards})


def sharing(module: _Module) -> _Module:
    """A copy with the same weights in memory, and gradients and attributes of its own."""
    memo: dict[int, Any] = {id(one): nn.Parameter(one.detach()) for one in module.parameters()}
    memo |= {id(buffer): buffer for buffer in module.buffers()}
    return copy.deepcopy(module, memo)


def add_gradients(module: nn.Module, copies: Sequence[nn.Module]) -> None:
    """Add the gradients of the copies to those of `module`, in order, and clear the copies'."""
    for one in copies:
        mine, theirs = [], []
        for parameter, copied in zip(module.parameters(), one.parameters(), strict=True):
            if copied.grad is not None:
                assert parameter.grad is not None, "shards learn the same parameters"
                mine.append(parameter.grad)
                theirs.append(copied.grad)
                copied.grad = None
        torch._foreach_add_(mine, theirs)


class Threads:
    """A pool of threads for independent tasks.

    Args:
        count: of threads; 1 does one task after the other, on the calling thread.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ThreadPoolExecutor | None = None

    def run(self, tasks: Sequence[Callable[[], _Result]]) -> list[_Result]:
        """The results in the order of the tasks; what one raised is raised when all have ended."""
        if self.count == 1 or len(tasks) == 1:
            return [task() for task in tasks]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(
                self.count, "textwright-shard", initializer=torch.set_num_threads, initargs=(1,)
            )
        futures = [self._pool.submit(task) for task in tasks]
        wait(futures)
        return [future.result() for future in futures]
