"""Device, precision, compiler and threads of training: every `auto` is resolved here, by measuring.

A processor multiplies two matrices in each precision and the faster one wins; its model name is not
enough. Environment variables limit instruction sets (`ONEDNN_MAX_CPU_ISA`, `ATEN_CPU_CAPABILITY`),
virtual machines hide some, and torch's build may not use all: without instructions for bfloat16, a
product in it takes thirty to fifty times as long as in float32. The choice is recorded in
`run.toml`, so that resuming is exact.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import logging
import os
import platform
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from textwright import machine
from textwright.configs import TrainingSettings
from textwright.configs.settings import Precision
from textwright.errors import RequestError

log = logging.getLogger("textwright")

_MIN_SPEEDUP = 1.1
"""Of bfloat16 over float32, to make up for its shorter mantissa."""
_EMULATED = 0.5
"""Below this share of float32's speed, bfloat16 is emulated; far from any noise."""
_SIDE = 256
"""Of the matrices that are multiplied: as in `nano`, the size that most people train."""
_REPEATS = 5
_BFLOAT16_CAPABILITY = (8, 0)
"""CUDA compute capability with bfloat16 tensor cores (Ampere); devices below emulate it, though
torch says that they support it."""
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h
_RECURRENT = ("lstm", "gru", "rnn")


def choose_device(requested: str, family: str = "") -> torch.device:
    """The device to compute on; `auto` takes CUDA, then MPS, then the CPU.

    Recurrent models stay on the CPU of a Mac: their steps are many small kernels, which take longer
    on MPS (measured in PyTorch's own tracker, 138898).

    Raises:
        RequestError: the requested device isn't available.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if requested == "auto":
        if family in _RECURRENT:
            available["mps"] = False
        return torch.device(next(name for name, found in available.items() if found))
    if not available.get(requested):
        raise RequestError(
            f"--device {requested}: this machine has none that torch can use; leave it out, or see "
            "textwright doctor"
        )
    return torch.device(requested)


def resolve_auto(settings: TrainingSettings, family: str) -> TrainingSettings:
    """`settings` with precision and compiler chosen for this machine where they are `auto`.

    Raises:
        RequestError: the requested device, precision or compiler doesn't work here.
    """
    device = choose_device(settings.device, family)
    return settings.model_copy(
        update={
            "precision": choose_precision(settings.precision, device, family),
            "compile": "on" if choose_compile(settings.compile, device) else "off",
        }
    )


def choose_precision(requested: Precision, device: torch.device, family: str = "") -> Precision:
    """`bfloat16` or `float32`, the precision of matrix products; `auto` takes the faster one here.

    Weights, optimizer, carried state and loss are float32 in any case; `docs/log.md` has figures.

    Raises:
        RequestError: bfloat16 is requested, and torch can't train a model of `family` in it here.
    """
    if requested == "float32":
        return requested
    if requested == "bfloat16":
        if device.type == "cpu" and family in _RECURRENT and not can_train_in_bfloat16():
            raise RequestError(
                "training.precision bfloat16: torch can't learn recurrent layers in it on this "
                "processor; leave it out, or take float32"
            )
        return requested
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= _BFLOAT16_CAPABILITY
    elif device.type == "cpu":
        speed = core_gflops()
        fast = speed["bfloat16"] > _MIN_SPEEDUP * speed["float32"] and can_train_in_bfloat16()
    else:
        fast = False  # MPS was never measured
    return "bfloat16" if fast else "float32"


def precision_to_resume(recorded: Precision, device: torch.device) -> Precision:
    """The precision to resume a run in, maybe on another machine than the one it began on.

    That is the `recorded` one, unless this processor merely emulates it, so that steps would take
    many times as long, or torch can't train in it.
    """
    if recorded == "bfloat16" and device.type == "cpu":
        speed = core_gflops()
        if speed["bfloat16"] < _EMULATED * speed["float32"] or not can_train_in_bfloat16():
            log.warning(
                "this processor has no instructions for bfloat16, in which the run began: it goes "
                "on in float32, close to what it would have been, and not the same to the byte"
            )
            return "float32"
    return recorded


@functools.cache
def core_gflops() -> Mapping[str, float]:
    """GFLOP/s of one core in a matrix product, by precision.

    Takes a few milliseconds; where bfloat16 is emulated, a few dozen. The best of several runs
    counts, so that other users of the core don't.
    """
    seconds: dict[str, float] = {}
    with one_thread():
        generator = torch.Generator().manual_seed(0)
        left, right = (torch.randn(_SIDE, _SIDE, generator=generator) for _ in range(2))
        for dtype in (torch.float32, torch.bfloat16):
            a, b = left.to(dtype), right.to(dtype)
            a @ b  # the first one chooses a kernel
            name = str(dtype).removeprefix("torch.")
            seconds[name] = _seconds(functools.partial(torch.mm, a, b))
    operations = 2 * _SIDE**3
    return {name: operations / taken / 1e9 for name, taken in seconds.items()}


def _seconds(call: Callable[[], Tensor]) -> float:
    """The shortest CPU time of several calls; a slow one is not repeated.

    Of the clock, a call during which the core went to another process would count as slow.
    """
    fine = time.get_clock_info("thread_time").resolution < 1e-5  # Windows counts sixtieths
    now = time.thread_time if fine else time.perf_counter
    best = float("inf")
    for _ in range(_REPEATS):
        start = now()
        call()
        best = min(best, now() - start)
        if best > 0.005:
            break
    return max(best, 1e-9)


@functools.cache
def can_train_in_bfloat16() -> bool:
    """Whether torch can train a recurrent layer in bfloat16 on this processor, by trying it.

    oneDNN multiplies in bfloat16 on some processors where it has no recurrent layers in it.
    """
    with torch.random.fork_rng(devices=[]), one_thread():
        layer = nn.LSTM(16, 16, batch_first=True)
        try:
            with torch.autocast("cpu", torch.bfloat16):
                output, _ = layer(torch.zeros(2, 3, 16))
            output.float().sum().backward()
        except RuntimeError:
            return False
    return True


def choose_compile(requested: str, device: torch.device) -> bool:
    """Whether to run the model through `torch.compile`: `auto` does on a GPU, where that works.

    Raises:
        RequestError: `on` is requested, and something that the compiler needs is missing.
    """
    if requested == "off" or (requested == "auto" and device.type != "cuda"):
        return False
    missing = _missing_for_compile(device)
    if missing and requested == "on":
        raise RequestError(f"training.compile on: there is no {missing}; install one, or leave it")
    if missing:
        log.warning("torch.compile is left out, for there is no %s: steps take longer", missing)
    return not missing


def _missing_for_compile(device: torch.device) -> str | None:
    """What `torch.compile` needs and this machine lacks: Triton for a GPU, a C compiler always."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "package triton"
    chosen = shlex.split(os.environ.get("CXX", "") or os.environ.get("CC", ""))
    compilers = chosen[:1] or ["cc", "gcc", "g++", "clang", "cl"]
    if not any(shutil.which(name) for name in compilers):
        return "C compiler"
    return None


def use_threads(threads: int) -> int:
    """Set the number of torch's CPU threads, and return it.

    Args:
        threads: 0 takes torch's default, and no more than this process may use cores: torch counts
            those of the whole machine, also in a container with a quota.
    """
    torch.set_num_threads(threads or min(torch.get_num_threads(), machine.cores()))
    return torch.get_num_threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """A context in which torch computes on the calling thread alone."""
    previous = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(previous)


def tune_malloc() -> None:
    """Have glibc keep freed memory for the next step; other C libraries are left as they are.

    Every step frees and asks for the same large tensors. glibc maps large blocks from the system
    and returns them at once, and the system hands them out again page by page, cleared: for an
    LSTM that is a quarter of the processor time. Without such maps they are simply used again.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 1 << 30)
