"""Train a text generator from scratch on your own words, watch it learn, and generate from it.

The names below are imported when they are first used, so that `import textwright` costs nothing:

- `train(...)` → `Run`: see `textwright.training`;
- `load(reference)` → a `Generator`: `generate`, `stream`, `steps`, `explain`;
- `Models(folder)`: a folder of models;
- `Generation`: what `generate` returns;
- `compare(...)`: runs side by side;
- `gradio_app(run)`: a small app, in a notebook or the browser;
- `RecurrentModel`: recurrent models for the Hub's own `from_pretrained`;
- `TextwrightError`: the family of everything that can go wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.errors import TextwrightError
    from textwright.generation import Generation, Generator, Models, load
    from textwright.publishing import gradio_app
    from textwright.publishing.mixin import RecurrentModel
    from textwright.reporting import compare
    from textwright.runs import Run
    from textwright.training import train

    __version__: str

_HOMES = {
    "Generation": "textwright.generation.results",
    "Generator": "textwright.generation.generator",
    "Models": "textwright.generation.loading",
    "RecurrentModel": "textwright.publishing.mixin",
    "Run": "textwright.runs",
    "TextwrightError": "textwright.errors",
    "compare": "textwright.reporting",
    "gradio_app": "textwright.publishing",
    "load": "textwright.generation.loading",
    "train": "textwright.training.pipeline",
    "__version__": "textwright.version",
}

__all__ = [
    "Generation",
    "Generator",
    "Models",
    "RecurrentModel",
    "Run",
    "TextwrightError",
    "__version__",
    "compare",
    "gradio_app",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'textwright' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    value: Any = getattr(home, "VERSION" if name == "__version__" else name)
    globals()[name] = value  # the next use finds it without asking here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
