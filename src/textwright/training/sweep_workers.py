"""The workers of a sweep: this process alone, or those that torchrun started, on many machines.

They walk through the rungs together. Each trains its share of the trials, in processes of their
own; what came of them is gathered, so that all decide alike who goes on. The folder of the sweep is
one that all of them see: another worker may go on with a trial at the next rung.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from textwright import torchrun

T = TypeVar("T")


class Workers:
    """A process by itself."""

    def __init__(self) -> None:
        self.rank, self.count = 0, 1
        self.environment: dict[str, str] = {}
        """What a trial's process gets beside this one's environment."""

    def share(self, trials: Sequence[T]) -> list[T]:
        """Those that this worker trains."""
        return list(trials[self.rank :: self.count])

    def broadcast(self, message: Any) -> Any:
        """What the first worker passes, at every one."""
        return message

    def any(self, here: bool) -> bool:
        """Whether it is true at one of them."""
        return here

    def gather(self, part: dict[str, Any]) -> dict[str, Any]:
        """The parts of all, at every one."""
        return part


class _Several(Workers):
    def __init__(self) -> None:
        from textwright.training.loop import distributed

        self._group = distributed
        self.rank, self.count = distributed.rank(), distributed.world_size()
        self.environment = _own_gpu()

    def broadcast(self, message: Any) -> Any:
        return self._group.broadcast(message)

    def any(self, here: bool) -> bool:
        return self._group.all_reduce_any(here)

    def gather(self, part: dict[str, Any]) -> dict[str, Any]:
        import torch.distributed as dist

        parts: list[dict[str, Any]] = [{}] * self.count
        dist.all_gather_object(parts, part)
        return {name: value for each in parts for name, value in each.items()}


@contextmanager
def sweep_workers() -> Iterator[Workers]:
    """Join the others, where torchrun started some.

    Raises:
        TrainingError: another worker ended, or can't be reached.
    """
    if torchrun.world_size() == 1:
        yield Workers()  # without torch, which the trials import
        return
    from textwright.training.loop import distributed

    with distributed.process_group("cpu"):
        yield _Several()


def _own_gpu() -> dict[str, str]:
    """Of several workers of a machine with GPUs each has the trials on one of its own."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    places = named.split(",") if named else list(map(str, range(torch.cuda.device_count())))
    return {"CUDA_VISIBLE_DEVICES": places[torchrun.local_rank() % len(places)]} if places else {}
