"""Several processes that train one model: who they are, and all that they say to each other.

`torchrun` starts them, on one machine or many, and torch's process group joins them: gloo between
processors, NCCL between GPUs. They all walk the same loop. The first one decides and writes; each
learns its share of every batch. Batch and dropout are functions of (seed, step, sample index), so
the shares add up to the batch that one process would have learned.

The process group is torch's own and, as torch has it, one a process. In a process by itself
everything here answers at once: it is the first of one.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any
from weakref import WeakSet

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from textwright import torchrun
from textwright.configs import CorpusSettings, ModelConfig, TrainingSettings
from textwright.errors import RequestError, TrainingError
from textwright.runs import Run
from textwright.tokenizers import Tokenizer

_PATIENCE = timedelta(minutes=30)
"""How long a worker waits for another, e.g. for the first one to read a large text."""

_BUFFERS = (
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers"  # before torch 2.13
)

_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe", re.I)
"""How torch says that another worker is gone; with gloo it has no class for it."""

_learning: WeakSet[DistributedDataParallel] = WeakSet()
"""What holds the group for the sake of its gradients."""


def count() -> int:
    """How many workers there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which one this is, from 0."""
    return dist.get_rank() if count() > 1 else 0


def is_first() -> bool:
    """Whether this is the one that decides, writes and tells."""
    return rank() == 0


def are_meant() -> bool:
    """Whether `torchrun` started this process as one of several."""
    return torchrun.world_size() > 1


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Meet the other workers, where there are any, and part from them at the end.

    Args:
        device: as `choose_device` takes it; each worker of a machine takes a GPU of its own.

    Raises:
        TrainingError: another worker ended, or can't be reached.
    """
    if not are_meant() or dist.is_initialized():
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
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=_PATIENCE)
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
            _let_go_of_the_group()
            dist.destroy_process_group()


def _let_go_of_the_group() -> None:
    """Leave the group to `destroy_process_group` alone, which lets go of the interpreter's lock.

    Whatever held it longer, such as a traceback, would take it down under that lock, or as the
    interpreter ends; gloo's threads are joined then, may want the lock, and wait for ever.
    """
    for module in _learning:
        for name in ("reducer", "logger", "process_group"):
            vars(module).pop(name, None)
    _learning.clear()


def share(samples: int) -> range:
    """The samples of a batch that this worker learns: consecutive, and as many as the others'.

    Raises:
        RequestError: there are fewer samples than workers.
    """
    workers = count()
    if samples < workers:
        raise RequestError(
            f"training.batch_size {samples} is less than one sample for each of {workers} workers; "
            "start fewer, or give it more"
        )
    return range(samples * rank() // workers, samples * (rank() + 1) // workers)


def told(message: Any = None) -> Any:
    """What the first worker says, anything JSON holds; the others hear it."""
    if count() == 1:
        return message
    return json.loads(_broadcast(json.dumps(message).encode() if is_first() else b""))


def told_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first worker's tensors, on the CPU; what the others give is not read."""
    if count() == 1:
        return dict(tensors)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return load(_broadcast(save(whole) if is_first() else b""))


def with_common_gradients(module: nn.Module) -> nn.Module:
    """`module`, whose gradients after a backward pass are the means of those of all workers."""
    if count() == 1:
        return module
    # Nothing but parameters is learned: what else a model holds is the same everywhere
    buffers: dict[str, Any] = {_BUFFERS: False}
    common = DistributedDataParallel(module, **buffers)
    _learning.add(common)
    return common


def not_yet(module: nn.Module, wait: bool) -> AbstractContextManager[None]:
    """Where `wait` holds, passes inside add to this worker's gradients and tell no one."""
    if wait and isinstance(module, DistributedDataParallel):
        return module.no_sync()
    return nullcontext()


def any_of(here: bool) -> bool:
    """Whether it is so at any worker."""
    if count() == 1:
        return here
    flag = torch.tensor(float(here))
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)


def total(part: Tensor) -> Tensor:
    """The sum over the workers, at each of them; `part` is overwritten."""
    if count() > 1:
        dist.all_reduce(part)
    return part


def gathered(rows: Mapping[str, Tensor], samples: int) -> dict[str, Tensor]:
    """The rows of all workers, in order of the samples of the batch, on the CPU; at each of them.

    Args:
        rows: for each of this worker's samples a row; (share, ...).
        samples: of the batch.
    """
    whole = {}
    for name, own in rows.items():
        part = own.detach().cpu()
        if count() > 1:
            batch = part.new_zeros(samples, *part.shape[1:])
            mine = share(samples)
            batch[mine.start : mine.stop] = part
            part = total(batch)
        whole[name] = part
    return whole


def _broadcast(data: bytes) -> bytes:
    size = torch.tensor(len(data))
    dist.broadcast(size, 0)
    buffer = torch.empty(int(size), dtype=torch.uint8)
    if is_first() and data:
        buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    dist.broadcast(buffer, 0)
    return buffer.numpy().tobytes()


def _line(error: Exception) -> str:
    first = str(error).strip().split("\n", 1)[0]
    return first if len(first) <= 160 else first[:159] + "…"


def tell_text(corpus: CorpusSettings, sha256: str, tokenizer: Tokenizer, loss_on: str) -> None:
    """Have the others open the text that the first worker has prepared.

    Args:
        corpus: where it comes from (a worker that was given sources itself takes its own), and
            how it is split.
        sha256: what the text must be.
        tokenizer: that of the first worker.
        loss_on: as in `TrainingSettings`.
    """
    text = {
        "corpus": corpus.model_dump(),
        "sha256": sha256,
        "tokenizer": tokenizer.file,
        "loss_on": loss_on,
    }
    told({"text": text})


def tell_training(
    run: Run, config: ModelConfig, settings: TrainingSettings, plan: Mapping[str, Any]
) -> None:
    """Have the others train with the first worker; `plan` is `Plan.record`'s."""
    recipe = _recipe(config, settings)
    told({"train": {"run": str(run.path), **recipe, "plan": dict(plan)}})


def tell_measuring(config: ModelConfig, settings: TrainingSettings) -> None:
    """Have the others take part in measuring; each step is told before it is taken."""
    told({"measure": _recipe(config, settings)})


def tell_over(outcome: Any) -> None:
    """Let the others go, with what came of it; anything JSON holds."""
    told({"over": outcome})


def _recipe(config: ModelConfig, settings: TrainingSettings) -> dict[str, Any]:
    return {
        "model": config.to_json(),
        "settings": settings.model_dump(),
        "threads": torch.get_num_threads(),
    }
