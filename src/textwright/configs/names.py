"""Names that aren't known: which one is meant."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_LENGTHS = ("max_tokens", "generation_length")
_PROMPTS = ("prompt", "start_phrase")
_MODELS = ("model", "model_name", "reference", "name", "family")
_FOLDERS = ("folder", "models", "runs", "runs_folder")

ELSEWHERE: dict[str, tuple[str, ...]] = {
    # of a text
    **dict.fromkeys(
        ("start_string", "start_text", "seed_text", "input_text", "start_phrase", "prompt"),
        _PROMPTS,
    ),
    **dict.fromkeys(
        ("generation_length", "max_new_tokens", "num_generate", "max_length", "length",
         "num_tokens", "n_tokens", "n_predict", "max_tokens"),
        _LENGTHS,
    ),
    "num_return_sequences": ("count", "n"), "random_seed": ("seed",),
    # of models
    **dict.fromkeys(("model_name", "model", "model_path", "model_dir"), _MODELS),
    **dict.fromkeys(("models_folder", "models_dir", "models_path"), _FOLDERS),
    # of a shape
    **dict.fromkeys(
        ("rnn_units", "lstm_units", "units", "n_hidden", "hidden_dim", "rnn_size", "hidden_sizes",
         "n_embd", "d_model"),
        ("hidden_size",),
    ),
    **dict.fromkeys(("embedding_dim", "embed_dim"), ("embedding_size", "hidden_size")),
    **dict.fromkeys(("n_layer", "n_layers", "layers"), ("num_layers",)),
    **dict.fromkeys(("n_head", "n_heads", "heads"), ("num_heads",)),
    **dict.fromkeys(
        ("seq_length", "seq_len", "sequence_length", "context_length", "n_ctx"), ("block_size",)
    ),
    # of a training
    "lr": ("learning_rate",), "eval_interval": ("eval_every",),
    **dict.fromkeys(("max_iters", "num_steps", "iterations"), ("steps",)),
    **dict.fromkeys(("num_epochs", "n_epochs"), ("epochs",)),
}  # fmt: skip
"""What other programs call our names, and the ones that may be meant, the likeliest first."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def nearest(name: str, known: list[str]) -> str:
    """The end of an error message about an unknown name: the one that is meant, or all.

    One that is called so in another program or another section goes before one that is spelled
    alike; `name` and `known` may be dotted, or have `-` for `_`.
    """
    meant = _meant(name, known) or next(iter(difflib.get_close_matches(name, known, n=1)), None)
    return f"; did you mean {meant!r}?" if meant else f"; there are {', '.join(known)}"


def _meant(name: str, known: list[str]) -> str | None:
    def last(dotted: str) -> str:
        return dotted.rpartition(".")[2].lstrip("-").replace("-", "_")

    for one in (last(name), *ELSEWHERE.get(last(name), ())):
        found = [other for other in known if last(other) == one]
        own = [other for other in found if other.rpartition(".")[0] == name.rpartition(".")[0]]
        if found:
            return (own or found)[0]
    return None


def hints(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """`function`, whose `TypeError` about an argument that it hasn't says which one is meant."""
    own = inspect.signature(function).parameters.values()
    known = [one.name for one in own if one.kind is not one.VAR_POSITIONAL and one.name != "self"]

    @functools.wraps(function)
    def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        for name in kwargs:
            if name not in known:
                what = function.__qualname__.removesuffix(".__init__")
                raise TypeError(f"{what}() has no argument {name!r}{nearest(name, known)}")
        return function(*args, **kwargs)

    return call
