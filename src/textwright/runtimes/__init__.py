"""The model families without torch: `(tokens, state) → (logits, state)`, in NumPy and compiled.

`load_runtime` picks the one for a config. Begin with `base.py`, the protocol of all, then `gpt.py`
and `kv_cache.py`, the readable reference in NumPy; each `compiled_*.py` computes the same on a C
file of `kernels`. Nothing here knows text or sampling; only `torch_runtime.py` imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.runtimes.base import Runtime, State
    from textwright.runtimes.registry import RUNTIMES, load_runtime

_HOMES = {
    "RUNTIMES": "textwright.runtimes.registry",
    "Runtime": "textwright.runtimes.base",
    "State": "textwright.runtimes.base",
    "load_runtime": "textwright.runtimes.registry",
}

__all__ = [
    "RUNTIMES",
    "Runtime",
    "State",
    "load_runtime",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
