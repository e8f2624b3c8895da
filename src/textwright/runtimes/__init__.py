"""The families without torch: `(tokens, state) → (logits, state)` in NumPy and in compiled C.

`load_runtime` picks the one for a config; `base` says what each of them is.
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
