"""`model.tar.gz`, which SageMaker hosts: a model folder with `code/inference.py` in it."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

from textwright import atomic
from textwright.cloud.results import verify
from textwright.errors import RunError
from textwright.runs import Run
from textwright.sagemaker.source import add_wheels
from textwright.sagemaker.stock import HOSTING

_CODE = '''"""What AWS's serving toolkits call; it is part of textwright."""

from textwright.sagemaker.handler import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
'''


def add_code(folder: Path) -> None:
    """Add `code/inference.py` and its requirements, which an index has, to a model folder."""
    atomic.write_text(folder / "code" / "inference.py", _CODE)
    atomic.write_text(folder / "code" / "requirements.txt", "\n".join(HOSTING.needs) + "\n")


def package(run: Run, out: Path, *, wheels: bool = False) -> list[str]:
    """Write the archive of `run` to `out`, verified by unpacking and loading it.

    Args:
        wheels: whether what AWS's own container lacks goes along.

    Returns:
        The names of the files in it.

    Raises:
        RunError: the run has no model, or the archive can't be loaded.
        RequestError: a wheel can't be made or found.
    """
    if not run.has_model():
        raise RunError(f"run {run.name!r} has no model yet; train it first")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        for file in run.files_to_copy():
            atomic.write_bytes(folder / file.name, file.read_bytes())
        add_code(folder)
        if wheels:
            add_wheels(folder / "code", HOSTING)
        with atomic.replacing(out) as partial:
            with tarfile.open(partial, "w:gz") as archive:
                for entry in sorted(folder.iterdir()):
                    archive.add(entry, entry.name)
            unpacked = Path(scratch) / "unpacked"
            with tarfile.open(partial) as archive:
                archive.extractall(unpacked, filter="data")
                names = archive.getnames()
            verify(unpacked)
    return names
