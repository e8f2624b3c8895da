"""Data-parallel training: the process group, its collectives, and the messages of rank 0.

`torchrun` starts the workers, on one machine or many, and torch's process group joins them: gloo
between processors, NCCL between GPUs. They all walk the same loop. Rank 0 decides and writes; each
rank learns its slice of every batch. Batch and dropout are functions of (seed, step, sample index),
so the slices add up to the batch that one process would have learned.

The process group is torch's own and, as torch has it, one a process. A process by itself is rank 0
of a world of one, and every function here returns at once.

Rank 0 broadcasts four messages: the corpus, a benchmark, a training, the result; `follower` says
what the other ranks do with each.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor

from textwright import torchrun
from textwright.configs import CorpusSettings, ModelConfig, TrainingSettings
from textwright.errors import RequestError, TrainingError
from textwright.runs import Run
from textwright.training.loop.dataset import Dataset
from textwright.training.loop.recipe import Recipe

_TIMEOUT = timedelta(minutes=30)
"""How long a worker waits for another, e.g. for rank 0 to read a large text."""

_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe", re.I)
"""How torch says that another worker is gone; with gloo it has no class for it."""


def world_size() -> int:
    """How many workers there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This worker's number, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def is_rank_zero() -> bool:
    """Whether this worker decides, writes and reports."""
    return rank() == 0


def is_distributed() -> bool:
    """Whether `torchrun` started this process as one of several."""
    return torchrun.world_size() > 1


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the process group where `torchrun` started several workers; inside, it is in force.

    Args:
        device: as `choose_device` takes it; each worker of a machine takes a GPU of its own.

    Raises:
        TrainingError: another worker ended, or can't be reached.
    """
    if not is_distributed() or dist.is_initialized():
        yield
        return
    on_gpus = device in ("auto", "cuda") and torch.cuda.is_available()
    if on_gpus:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise RequestError(
                f"worker {local + 1} of this machine has no GPU: there are "
                f"{torch.cuda.device_count()}; start as many, or take --device cpu"
            )
        torch.cuda.set_device(local)
    # It keeps for good the group there is when it is imported, which the first step would do
    importlib.import_module("torch.distributed.nn.functional")
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=_TIMEOUT)
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _LOST.search(str(error)):
            raise
        raise TrainingError(
            f"worker {torchrun.rank()} lost the others: one ended, which says why, or the "
            f"network did ({_line(error)}); what was saved before is whole: go on with --resume"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def rank_slice(samples: int) -> range:
    """The samples of a batch that this worker learns: consecutive, and as many as the others'.

    Raises:
        RequestError: there are fewer samples than workers.
    """
    workers = world_size()
    if samples < workers:
        raise RequestError(
            f"training.batch_size {samples} is less than one sample for each of {workers} workers; "
            "start fewer, or give it more"
        )
    return range(samples * rank() // workers, samples * (rank() + 1) // workers)


def broadcast(message: Any = None) -> Any:
    """What rank 0 passes, at every rank; anything JSON holds. What others pass is not read."""
    if world_size() == 1:
        return message
    return json.loads(_broadcast(json.dumps(message).encode() if is_rank_zero() else b""))


def broadcast_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of rank 0, at every rank, on the CPU; what the others pass is not read."""
    if world_size() == 1:
        return dict(tensors)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return load(_broadcast(save(whole) if is_rank_zero() else b""))


def worker_shards(samples: int, shards: int) -> list[range]:
    """Those of a batch's shards that this worker learns, one after the other.

    Args:
        samples: of the batch.
        shards: into which all workers together cut it; where they can't share them out evenly,
            each has one.
    """
    mine, workers = rank_slice(samples), world_size()
    own = shards // workers if shards % workers == 0 else 1
    own = max(1, min(own, len(mine)))
    cuts = [mine.start + len(mine) * number // own for number in range(own + 1)]
    return [range(first, last) for first, last in pairwise(cuts)]


def all_reduce_gradients(parameters: Iterable[Tensor]) -> None:
    """Add up the gradients of all workers, at each of them."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    whole = torch.cat([gradient.flatten() for gradient in gradients])  # one message, not dozens
    parts = all_reduce_sum(whole).split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def all_reduce_any(here: bool) -> bool:
    """Whether `here` is true at any worker; the same answer at each of them."""
    if world_size() == 1:
        return here
    flag = torch.tensor(float(here))
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)


def all_reduce_sum(part: Tensor) -> Tensor:
    """The sum of `part` over the workers, at each of them; `part` is overwritten."""
    if world_size() > 1:
        dist.all_reduce(part)
    return part


def all_gather_rows(rows: Mapping[str, Tensor], samples: int) -> dict[str, Tensor]:
    """The rows of all workers, in order of the samples of the batch, on the CPU; at each of them.

    Args:
        rows: for each of this worker's samples a row; (slice, ...).
        samples: of the batch.
    """
    whole = {}
    for name, own in rows.items():
        part = own.detach().cpu()
        if world_size() > 1:
            batch = part.new_zeros(samples, *part.shape[1:])
            mine = rank_slice(samples)
            batch[mine.start : mine.stop] = part
            part = all_reduce_sum(batch)
        whole[name] = part
    return whole


def _broadcast(data: bytes) -> bytes:
    size = torch.tensor(len(data))
    dist.broadcast(size, 0)
    buffer = torch.empty(int(size), dtype=torch.uint8)
    if is_rank_zero() and data:
        buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    dist.broadcast(buffer, 0)
    return buffer.numpy().tobytes()


def _line(error: Exception) -> str:
    first = str(error).strip().split("\n", 1)[0]
    return first if len(first) <= 160 else first[:159] + "…"


def broadcast_corpus(dataset: Dataset, corpus: CorpusSettings, loss_on: str) -> None:
    """Have the others open the text that rank 0 has prepared, and tokenize it alike.

    Args:
        corpus: where it comes from (a worker that was given sources itself takes its own), and
            how it is split.
        loss_on: as in `TrainingSettings`.
    """
    text = {
        "corpus": corpus.model_dump(),
        "sha256": dataset.corpus.sha256,
        "tokenizer": dataset.tokenizer.file,
        "loss_on": loss_on,
    }
    broadcast({"text": text})


def broadcast_benchmark(config: ModelConfig, settings: TrainingSettings) -> None:
    """Have the others take part in measuring; the number of each step is broadcast before it."""
    measured = {"model": config.to_json(), "settings": settings.model_dump()}
    broadcast({"measure": {**measured, "threads": torch.get_num_threads()}})


def broadcast_training(run: Run, recipe: Recipe) -> None:
    """Have the others train with rank 0."""
    broadcast({"train": {"run": str(run.path), "recipe": recipe.record()}})


def broadcast_result(result: Any) -> None:
    """End the others' work, with what came of it; anything JSON holds."""
    broadcast({"over": result})
