"""Reads pickled checkpoints of other programs without executing code in them.

A pickle is a program. torch's `weights_only` allows a fixed list of harmless functions and refuses
all others; nothing here is loaded in another way.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from textwright.errors import MissingPackageError, RequestError

if TYPE_CHECKING:
    from torch import Tensor


def read_checkpoint(file: Path, stand_ins: Sequence[tuple[type, str]] = ()) -> Any:
    """Load what `torch.save` wrote, if it is data alone.

    Args:
        file: the checkpoint.
        stand_ins: classes of ours to use in place of classes in the file, each with that class's
            full name. They have attributes and no code.

    Raises:
        RequestError: it doesn't exist, is damaged, or needs more than data.
        MissingPackageError: torch isn't installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError(
            "reading a checkpoint needs torch; pip install 'textwright[train]'"
        ) from error
    if not file.is_file():
        raise RequestError(f"no checkpoint {file}; name the file that the training saved")
    try:
        with torch.serialization.safe_globals(list(stand_ins)):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        unsafe = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it needs {unsafe[1]}" if unsafe else "it is no such file"
        raise RequestError(
            f"{file} can't be read as data alone ({what}), and nothing else is loaded; save the "
            "model's state_dict() and import that"
        ) from error
    except Exception as error:  # of a damaged archive torch raises any error
        reason = " ".join(str(error).split())[:160]
        raise RequestError(f"{file} is no checkpoint that torch can read: {reason}") from error


def tensors(data: Any, file: Path) -> dict[str, Tensor]:
    """`data` from `file` as a `state_dict()`. Raises `RequestError` where it is something else."""
    import torch

    if not isinstance(data, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in data.items()
    ):
        raise RequestError(f"{file} holds no table of tensors; save the model's state_dict()")
    return dict(data)


class _PlainUnpickler(pickle.Unpickler):
    """Loads dicts, lists, strings and numbers; refuses classes and functions."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def read_plain(file: Path) -> Any:
    """Load a pickle of plain data.

    Raises:
        RequestError: it can't be read, or has more than plain data.
    """
    try:
        return _PlainUnpickler(io.BytesIO(file.read_bytes())).load()
    except Exception as error:  # a damaged pickle may raise anything
        reason = " ".join(str(error).split())[:160]
        raise RequestError(f"{file} is no plain data ({reason}); nothing else is loaded") from error
