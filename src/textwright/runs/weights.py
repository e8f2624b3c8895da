"""Reading `model.safetensors`: every tensor as float32, checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize

from textwright.arrays import Floats
from textwright.errors import RunError

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def read_weights(file: Path) -> dict[str, Floats]:
    """The float tensors of a safetensors file by name, as float32; others are left out.

    Raises:
        RunError: the file can't be read or is damaged, e.g. cut short.
    """
    try:
        tensors = deserialize(file.read_bytes())  # type: ignore[no-untyped-call]
    except (SafetensorError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise RunError(
            f"{file.name} is damaged ({reason}); copy it again, or train the model anew"
        ) from error
    weights = {}
    for name, tensor in tensors:
        if tensor["dtype"] == "BF16":
            # bfloat16 is the upper half of a float32
            bits = np.frombuffer(tensor["data"], "<u2").astype(np.uint32) << 16
            values = bits.view(np.float32)
        elif tensor["dtype"] in _DTYPES:
            values = np.frombuffer(tensor["data"], _DTYPES[tensor["dtype"]])
        else:
            continue
        weights[name] = values.astype(np.float32, copy=False).reshape(tensor["shape"])
    return weights


def take(weights: Mapping[str, Floats], name: str, *shape: int) -> Floats:
    """The tensor `name`, checked to have this shape and finite values.

    Raises:
        RunError: it is missing, has another shape, or has NaN or infinite values.
    """
    if name not in weights:
        raise RunError(
            f"model.safetensors has no tensor {name}: it is not of the model in config.json; "
            "copy both from one training"
        )
    tensor = weights[name]
    if tensor.shape != shape:
        raise RunError(
            f"model.safetensors does not fit config.json: {name} is {_shape(tensor.shape)}, "
            f"not {_shape(shape)}; copy both from one training"
        )
    if not np.isfinite(tensor).all():
        raise RunError(
            f"model.safetensors is damaged: {name} holds values that aren't finite numbers; "
            "copy it again, or train the model anew"
        )
    return tensor


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"
