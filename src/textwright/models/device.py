"""What is fast here: the device, number format, compiler and threads that a model learns with.

Every `auto` of a training is resolved in this one place, by looking at the machine as it is now: a
processor multiplies two matrices in each format and the faster one wins, whatever its name
promises. An instruction set may be limited (`ONEDNN_MAX_CPU_ISA`, `ATEN_CPU_CAPABILITY`), a virtual
machine may hide instructions, and torch's build may not use those that are there: where a
processor has no instructions for bfloat16, a product in it takes thirty to fifty times as long as
in float32. What was chosen is frozen in `run.toml`, so that going on stays exact.
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

_WORTH_ROUNDING = 1.1
"""How many times faster a product in bfloat16 must be, to be taken with its shorter mantissa."""
_UNUSABLE = 0.5
"""Below this share of float32's speed, bfloat16 is emulated; far from any noise."""
_SIDE = 256
"""Of the matrices multiplied to find out: those of `nano`, the size that most people train."""
_REPEATS = 5
_TENSOR_CORES_FOR_BFLOAT16 = (8, 0)
"""Compute capability of CUDA devices from which they multiply in bfloat16 (Ampere); those before
emulate it, and torch says that they support it."""
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's malloc.h
_RECURRENT = ("lstm", "gru", "rnn")


def choose_device(wanted: str, family: str = "") -> torch.device:
    """The device to compute on; `auto` takes CUDA, then MPS, then the CPU.

    A recurrent model is left on the CPU of a Mac: its steps are many small calls, which take
    longer on MPS (pytorch/pytorch, issue 138898).

    Raises:
        RequestError: the device asked for isn't there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        if family in _RECURRENT:
            there["mps"] = False
        return torch.device(next(name for name, found in there.items() if found))
    if not there.get(wanted):
        raise RequestError(f"--device {wanted}: this machine has none that torch can use")
    return torch.device(wanted)


def resolve_auto(settings: TrainingSettings, family: str) -> TrainingSettings:
    """`settings` with number format and compiler chosen for this machine where they are `auto`.

    Raises:
        RequestError: the device, the format or the compiler asked for doesn't work here.
    """
    device = choose_device(settings.device, family)
    return settings.model_copy(
        update={
            "precision": choose_precision(settings.precision, device, family),
            "compile": "on" if choose_compile(settings.compile, device) else "off",
        }
    )


def choose_precision(wanted: Precision, device: torch.device, family: str = "") -> Precision:
    """`bfloat16` or `float32`, which matrix products run in; `auto` takes what is faster here.

    Weights, optimiser, carried state and loss are float32 in any case; see `docs/log.md` for what
    it gives.

    Raises:
        RequestError: bfloat16 is asked for, and torch can't learn a model of `family` in it here.
    """
    if wanted == "float32":
        return wanted
    if wanted == "bfloat16":
        if device.type == "cpu" and family in _RECURRENT and not learns_in_bfloat16():
            raise RequestError(
                "training.precision bfloat16: torch can't learn recurrent layers in it on this "
                "processor; leave it out, or take float32"
            )
        return wanted
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= _TENSOR_CORES_FOR_BFLOAT16
    elif device.type == "cpu":
        speed = core_gflops()
        fast = speed["bfloat16"] > _WORTH_ROUNDING * speed["float32"] and learns_in_bfloat16()
    else:
        fast = False  # nobody has measured MPS
    return "bfloat16" if fast else "float32"


def precision_to_resume(frozen: Precision, device: torch.device) -> Precision:
    """The format to go on with, of a run that began with `frozen`, maybe on another machine.

    That is `frozen`, exactly, unless this processor merely emulates it: going on would take many
    times as long, or torch refuses it.
    """
    if frozen == "bfloat16" and device.type == "cpu":
        speed = core_gflops()
        if speed["bfloat16"] < _UNUSABLE * speed["float32"] or not learns_in_bfloat16():
            log.warning(
                "this processor has no instructions for bfloat16, in which the run began: it goes "
                "on in float32, close to what it would have been, and not the same to the byte"
            )
            return "float32"
    return frozen


@functools.cache
def core_gflops() -> Mapping[str, float]:
    """Billions of operations a second of one core in a matrix product, by number format.

    It takes a few milliseconds; where bfloat16 is emulated, a few dozen. The best of several tries
    counts, so that whoever else uses the core does not.
    """
    seconds: dict[str, float] = {}
    with one_thread():
        generator = torch.Generator().manual_seed(0)
        left, right = (torch.randn(_SIDE, _SIDE, generator=generator) for _ in range(2))
        for number_format in (torch.float32, torch.bfloat16):
            a, b = left.to(number_format), right.to(number_format)
            a @ b  # the first one chooses a kernel
            name = str(number_format).removeprefix("torch.")
            seconds[name] = _seconds(functools.partial(torch.mm, a, b))
    operations = 2 * _SIDE**3
    return {name: operations / taken / 1e9 for name, taken in seconds.items()}


def _seconds(call: Callable[[], Tensor]) -> float:
    """The shortest of several calls, of which a slow one is not repeated."""
    best = float("inf")
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
        if best > 0.005:
            break
    return max(best, 1e-9)


@functools.cache
def learns_in_bfloat16() -> bool:
    """Whether torch can learn a recurrent layer in bfloat16 on this processor, by trying it.

    oneDNN multiplies in bfloat16 on processors where it has no recurrent layer in it.
    """
    with torch.random.fork_rng(devices=[]), one_thread():
        layer = nn.LSTM(16, 16, batch_first=True)
        try:
            with torch.autocast("cpu", torch.bfloat16):
                read, _ = layer(torch.zeros(2, 3, 16))
            read.float().sum().backward()
        except RuntimeError:
            return False
    return True


def choose_compile(wanted: str, device: torch.device) -> bool:
    """Whether to run the model through `torch.compile`: `auto` does on a GPU, where that works.

    Raises:
        RequestError: `on` is asked for, and something that the compiler needs is missing.
    """
    if wanted == "off" or (wanted == "auto" and device.type != "cuda"):
        return False
    missing = _missing_for_compiling(device)
    if missing and wanted == "on":
        raise RequestError(f"training.compile on: there is no {missing}; install one, or leave it")
    if missing:
        log.warning("torch.compile is left out, for there is no %s: steps take longer", missing)
    return not missing


def _missing_for_compiling(device: torch.device) -> str | None:
    """What `torch.compile` needs and this machine lacks: Triton for a GPU, a C compiler always."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "package triton"
    chosen = shlex.split(os.environ.get("CXX", "") or os.environ.get("CC", ""))
    compilers = chosen[:1] or ["cc", "gcc", "g++", "clang", "cl"]
    if not any(shutil.which(name) for name in compilers):
        return "C compiler"
    return None


def use_threads(threads: int) -> int:
    """Set torch's processor threads and give the number in force.

    Args:
        threads: 0 takes as many as torch does, and no more than this process has cores: torch
            counts those of the whole machine, also in a container with a share of it.
    """
    torch.set_num_threads(threads or min(torch.get_num_threads(), machine.cores()))
    return torch.get_num_threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes on the calling thread alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
