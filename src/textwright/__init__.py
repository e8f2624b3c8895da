"""Train a text generator from scratch on your own words, watch it learn, and generate from it.

The names below are imported when they are first used, so that `import textwright` costs nothing:

- `train(...)` → `Run`: see `textwright.training`;
- `load(reference)` → a `Generator`: `generate`, `stream`, `steps`, `explain`;
- `Models(folder)`: a folder of models;
- `Generation`: what `generate` returns;
- `TextwrightError`: the family of everything that can go wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.errors import TextwrightError
    from textwright.generation import Generation, Generator, Models, load
    from textwright.runs import Run
    from textwright.training import train

    __version__: str

_HOMES = {
    "Generation": "textwright.generation",
    "Generator": "textwright.generation",
    "Models": "textwright.generation",
    "Run": "textwright.runs",
    "TextwrightError": "textwright.errors",
    "load": "textwright.generation",
    "train": "textwright.training",
}

__all__ = [
    "Generation",
    "Generator",
    "Models",
    "Run",
    "TextwrightError",
    "__version__",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("textwright")
        except PackageNotFoundError:  # run from a checkout that isn't installed
            value = "0+unknown"
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'textwright' has no attribute {name!r}")
    globals()[name] = value  # the next use finds it without asking here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
