"""`export`: a run in the form of another program. One function a target, in a file of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from pathlib import Path

from textwright.configs import nearest
from textwright.errors import RequestError, RunError
from textwright.runs import Run, runs_folder

Export = Callable[..., Path]
"""Writes a run, the first argument, at a path, the second, and gives what it wrote; raises
`RequestError` where it doesn't fit."""

TARGETS = {
    "transformers": "textwright.publishing.to_transformers",
    "onnx": "textwright.publishing.to_onnx",
    "gguf": "textwright.publishing.to_gguf",
    "page": "textwright.publishing.to_page",
}
"""The module of each target, whose `export` does it; imported when it is asked for."""


def exporter(target: str) -> Export:
    """The function that exports to `target`.

    Raises:
        RequestError: there is no such target; the message offers the nearest.
    """
    if target not in TARGETS:
        raise RequestError(f"no export to {target!r}{nearest(target, list(TARGETS))}")
    function: Export = importlib.import_module(TARGETS[target]).export
    return function


def export(run: Run, target: str, out: str | Path, *, dtype: str | None = None) -> Path:
    """Write `run` in the form of `target`.

    Args:
        run: with a trained model.
        target: `transformers`, `onnx`, `gguf` or `page`.
        out: where to: a folder, or for `gguf` and `page` a file if it ends in `.gguf` or `.html`.
            A file that is there is replaced; a folder must be empty, or hold an earlier export and
            nothing else, and not lie beside runs.
        dtype: of a page's matrices: `float16`, as None takes it, or `int8`, half the size.

    Returns:
        The folder or file written.

    Raises:
        RequestError: the target can't express this model, or `out` is in the way.
        MissingPackageError: a package is needed that isn't installed.
    """
    write = exporter(target)
    if not run.has_model():
        raise RunError(
            f"run {run.name!r} has no trained model yet; it comes with the first evaluation"
        )
    if dtype is None:
        return write(run, Path(out))
    if target != "page":
        raise RequestError(f"--dtype is for --to page; an export to {target} has one form")
    return write(run, Path(out), dtype=dtype)


def check_folder(folder: Path, files: Collection[str], run: Run) -> None:
    """Check that a folder may be written at `folder`, so that nothing is lost.

    Args:
        folder: where.
        files: what it will hold, as names or patterns; what else is there would be lost.
        run: what is written there. A pulled run holds a model and nothing else, as an export does,
            so whatever lies beside a run is taken for one.

    Raises:
        RequestError: it is a file, a run, or holds what such a folder hasn't.
    """
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder} is a file; name a folder to write into with --out")
    found = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if not found:
        return
    if folder.resolve().parent in (runs_folder().resolve(), run.path.resolve().parent):
        raise RequestError(f"{folder} is a run; choose another --out")
    if other := [name for name in found if not any(fnmatchcase(name, one) for one in files)]:
        raise RequestError(f"{folder} holds {other[0]}, which would be lost; choose another --out")
