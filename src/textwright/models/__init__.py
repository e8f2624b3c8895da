"""The model families in torch, one readable file each; `build` makes one from its config.

Begin with `base`, the interface `(tokens, state) → (logits, state)` of all of them, then `gpt`;
`attention` is shared by two. `device` chooses what to compute on and in which precision.
Nothing here knows data, optimizers or the training loop.
"""

from textwright.models.base import (
    FAMILIES,
    LanguageModel,
    Matrices,
    OutputLayer,
    State,
    build,
    register,
)
from textwright.models.gpt import GPT
from textwright.models.recurrent import Recurrent
from textwright.models.transformer import Transformer

__all__ = [
    "FAMILIES",
    "GPT",
    "LanguageModel",
    "Matrices",
    "OutputLayer",
    "Recurrent",
    "State",
    "Transformer",
    "build",
    "register",
]
