"""`export`: a run in another program's format; each target is a module with one function."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from pathlib import Path

from textwright.configs import check_companion, nearest
from textwright.errors import RequestError, RunError
from textwright.runs import Run, runs_folder

log = logging.getLogger("textwright")

Export = Callable[..., Path]
"""`export(run, out)` of a target's module: writes `run` to `out`, returns what it wrote; raises
`RequestError` where the format can't express the model."""

TARGETS = {
    "transformers": "textwright.publishing.to_transformers",
    "onnx": "textwright.publishing.to_onnx",
    "gguf": "textwright.publishing.to_gguf",
    "page": "textwright.publishing.to_page",
}
"""The module of each target, imported when it is needed."""


def exporter(target: str) -> Export:
    """The function that exports to `target`.

    Raises:
        RequestError: there is no such target; the message suggests the nearest.
    """
    if target not in TARGETS:
        raise RequestError(f"no export to {target!r}{nearest(target, list(TARGETS))}")
    function: Export = importlib.import_module(TARGETS[target]).export
    return function


def export(
    run: Run,
    target: str,
    out: str | Path,
    *,
    dtype: str | None = None,
    trainable: bool = False,
    companion: str = "auto",
) -> Path:
    """Write `run` in the format of `target`.

    Args:
        run: with a trained model.
        target: `transformers`, `onnx`, `gguf` or `page`.
        out: a folder, or for `gguf` and `page` a file if it ends in `.gguf` or `.html`. An
            existing file is replaced; a folder must be empty, or hold an earlier export and
            nothing else, and not be in the folder of runs.
        dtype: of a page's matrices: `float16`, the default, or `int8`, half the size.
        trainable: whether a page can also train, in the browser's tab.
        companion: `auto` takes along what the run counted in its text, into a page, and says where
            a format can't hold it; `off` leaves it out, and with it the phrases that it has.

    Returns:
        The folder or file written.

    Raises:
        RequestError: the format can't express this model, `out` can't be replaced, or `companion`
            is neither.
        MissingPackageError: the format needs a package that isn't installed.
    """
    write = exporter(target)
    check_companion(companion)
    if not run.has_model():
        raise RunError(
            f"run {run.name!r} has no trained model yet; it comes with the first evaluation"
        )
    choices: dict[str, object] = {"dtype": dtype, "trainable": trainable or None}
    chosen = {name: choice for name, choice in choices.items() if choice is not None}
    if chosen and target != "page":
        name = next(iter(chosen))
        raise RequestError(f"--{name} is for --to page; an export to {target} has one form")
    if target == "page":
        chosen["companion"] = companion
    written = write(run, Path(out), **chosen)
    if companion == "auto" and run.companion_file.is_file() and target != "page":
        log.warning(
            "the network alone is exported: %s can't hold what %r counted; eval and generate with "
            "--companion off show it so",
            target,
            run.name,
        )
    return written


def check_folder(folder: Path, files: Collection[str], run: Run) -> None:
    """Check that replacing `folder` loses nothing.

    Args:
        folder: the folder to write.
        files: names or patterns of the files it will have; others in it would be lost.
        run: the exported run. A pulled run has the same files as an export, so any folder beside
            a run is taken for a run.

    Raises:
        RequestError: it is a file or a run, or has other files.
    """
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder} is a file; name a folder to write into with --out")
    existing = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if not existing:
        return
    if folder.resolve().parent in (runs_folder().resolve(), run.path.resolve().parent):
        raise RequestError(f"{folder} is a run; choose another --out")
    if other := [name for name in existing if not any(fnmatchcase(name, file) for file in files)]:
        raise RequestError(f"{folder} holds {other[0]}, which would be lost; choose another --out")
