"""The model families in torch, one readable file each; `build` makes one from its config.

Begin with `base`, the interface `(tokens, state) → (logits, state)` of all of them, then `gpt`;
`attention` and `dropout` are shared. `device` chooses what to compute on and in which precision,
`loading` reads a run's weights. Nothing here knows data, optimizers or the training loop.
"""

from __future__ import annotations

import torch

from textwright.configs import ModelConfig
from textwright.models.base import LanguageModel, Matrices, OutputLayer, State
from textwright.models.gpt import GPT
from textwright.models.recurrent import Recurrent
from textwright.models.transformer import Transformer

FAMILIES: list[type[LanguageModel]] = [Recurrent, GPT, Transformer]
"""All families; `register` adds one."""


def build(config: ModelConfig, seed: int = 0) -> LanguageModel:
    """A model with fresh weights, drawn from `seed` on the CPU; torch's global RNG is untouched."""
    for family in FAMILIES:
        if isinstance(config, family.config_class):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return family(config)
    raise TypeError(f"no family is registered for {type(config).__name__}")


def register(family: type[LanguageModel]) -> type[LanguageModel]:
    """Class decorator: register a family under the names of its config class."""
    from textwright import configs

    FAMILIES.append(family)
    configs.CONFIG_CLASSES.append(family.config_class)
    return family


__all__ = ["FAMILIES", "LanguageModel", "Matrices", "OutputLayer", "State", "build", "register"]
