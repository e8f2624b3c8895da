"""Which device a model learns on, in which number format, on how many threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from textwright.errors import RequestError


def choose_device(wanted: str) -> torch.device:
    """The device to train on; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        RequestError: the device asked for isn't there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return torch.device(next(name for name, found in there.items() if found))
    if not there.get(wanted):
        raise RequestError(f"--device {wanted}: this machine has none that torch can use")
    return torch.device(wanted)


def choose_precision(wanted: str, device: torch.device) -> str:
    """`bfloat16` or `float32`; `auto` takes bfloat16 where the device multiplies in it.

    Weights, optimiser, carried state and loss are float32 in any case; see `docs/log.md` for what
    it gives.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported()
    elif device.type == "cpu":
        told: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = bool(told.get("avx512_bf16") or told.get("amx_bf16"))
    else:
        fast = False
    return "bfloat16" if fast else "float32"


def use_threads(threads: int) -> int:
    """Set the processor threads (0 leaves them) and give the number in force."""
    if threads:
        torch.set_num_threads(threads)
    return torch.get_num_threads()
