"""What a page needs besides its scripts to train in a browser's tab: the compiled engine, and the
tables that a tokenizer reads prompts by.
"""

from __future__ import annotations

from typing import Any

from textwright.errors import RequestError
from textwright.kernels import learning_engine
from textwright.tokenizers.folding import folding_tables
from textwright.version import VERSION


def can_learn() -> bool:
    """Whether this package has the engine, which its build compiles where it can."""
    return learning_engine()[0] is not None


def engine() -> bytes:
    """The engine: a WebAssembly module.

    Raises:
        RequestError: the package was built without it.
    """
    file, reason = learning_engine()
    if file is None:
        raise RequestError(f"this installation's pages can't train in a tab: {reason}")
    return file.read_bytes()


def knowledge() -> dict[str, Any]:
    """What the page's trainings know of this package: its `version`, and the folding `tables`."""
    return {"version": VERSION, "tables": folding_tables()}
