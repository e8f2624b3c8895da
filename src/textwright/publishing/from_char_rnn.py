"""`--from char-rnn.pytorch`: a model of spro/char-rnn.pytorch, as a `gru` or `lstm`.

That program pickles its whole module. The file is read with stand-ins for the classes in it, which
have attributes and no code, so nothing in the file is executed. A `state_dict()` of the module can
be read too. The characters are Python's `string.printable`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from textwright.configs import RecurrentConfig, one_line
from textwright.errors import RequestError
from textwright.publishing.checkpoints import read_checkpoint, tensors
from textwright.publishing.imports import ImportedModel
from textwright.publishing.vocabularies import character_tokenizer, read_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK_SIZE = 200
"""Characters of a training sample in that program (`--chunk_len`)."""


class _StandIn:
    """A module of the file, by its attributes."""


class _CharRNN(_StandIn):
    pass


class _Embedding(_StandIn):
    pass


class _GRU(_StandIn):
    pass


class _LSTM(_StandIn):
    pass


class _Linear(_StandIn):
    pass


_STAND_INS: list[tuple[type, str]] = [
    (_CharRNN, "model.CharRNN"),
    (_CharRNN, "__main__.CharRNN"),
    (_Embedding, "torch.nn.modules.sparse.Embedding"),
    (_GRU, "torch.nn.modules.rnn.GRU"),
    (_LSTM, "torch.nn.modules.rnn.LSTM"),
    (_Linear, "torch.nn.modules.linear.Linear"),
]


def read(path: str, tokenizer: Path | None) -> ImportedModel:
    """Read what `train.py` saved, or a `state_dict()` of it. Raises `RequestError`."""
    file = Path(path)
    data = read_checkpoint(file, _STAND_INS)
    state = tensors(_state(data) if isinstance(data, _StandIn) else data, file)
    if not all(name in state and state[name].ndim == 2 and state[name].numel()
               for name in ("encoder.weight", "rnn.weight_hh_l0")):  # fmt: skip
        raise RequestError(
            f"{file} is no model of char-rnn.pytorch: it lacks encoder and rnn; take another"
        )
    characters = (
        read_tokenizer(tokenizer)
        if tokenizer
        else character_tokenizer({char: i for i, char in enumerate(string.printable)})
    )
    layers = sum(name.startswith("rnn.weight_hh_l") for name in state)
    rows, width = state["rnn.weight_hh_l0"].shape
    family = {4: "lstm", 3: "gru"}.get(rows // width)
    if family is None:
        raise RequestError(
            f"{file}: its recurrent layer is neither an LSTM nor a GRU, so it can't be imported"
        )
    try:
        config = RecurrentConfig.model_validate(
            {
                "family": family,
                "vocab_size": state["encoder.weight"].shape[0],
                "embedding_size": state["encoder.weight"].shape[1],
                "hidden_size": width,
                "num_layers": layers,
                "block_size": _BLOCK_SIZE,
            }
        )
    except ValidationError as error:
        raise RequestError(f"{file} can't be imported: {one_line(error)}") from error
    return ImportedModel(config, _renamed(state, layers), characters, file)


def _state(module: Any) -> Mapping[str, Tensor]:
    """What `state_dict()` of the real module would return, from its attributes."""
    state: dict[str, Tensor] = {}
    attributes = vars(module)
    for name, tensor in (attributes.get("_parameters") or {}).items():
        state[name] = tensor.detach()
    for name, child in (attributes.get("_modules") or {}).items():
        if isinstance(child, _StandIn):
            state |= {f"{name}.{rest}": tensor for rest, tensor in _state(child).items()}
    return state


def _renamed(state: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    names = {
        "embedding.weight": "encoder.weight",
        "output.weight": "decoder.weight",
        "output.bias": "decoder.bias",
    }
    for layer in range(layers):
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            names[f"layers.{layer}.{part}"] = f"rnn.{part}_l{layer}"
    return {ours: state[theirs] for ours, theirs in names.items() if theirs in state}
