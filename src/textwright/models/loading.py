"""Loading the torch model of a run."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from textwright.errors import RunError
from textwright.models import LanguageModel, build
from textwright.models.device import choose_device
from textwright.runs import Run


def load_model(run: Run, device: str = "auto") -> LanguageModel:
    """The torch model of a run with its weights.

    Raises:
        RunError: a file is missing or damaged, or the weights don't fit.
    """
    config = run.config()
    model = build(config)
    try:
        weights = load_file(run.weights_file)
    except FileNotFoundError:
        raise RunError(f"run {run.name!r} has no model.safetensors yet; train it first") from None
    except (SafetensorError, OSError) as error:
        raise RunError(f"run {run.name!r}: model.safetensors is damaged ({error})") from error
    model.load_weights({name: tensor.to(torch.float32) for name, tensor in weights.items()})
    return model.to(choose_device(device, config.family))
