"""`lstm`, `gru` and `rnn`: an embedding, a stack of recurrent layers, a dense output.

A recurrent layer reads one token at a time and carries a hidden state (an LSTM also a cell state):
Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997), with the forget gate of Gers et al.
(2000); Cho et al. (2014) for the GRU; Elman (1990) for the plain network. The equations and the
order of the gates are those of `torch.nn.LSTM`, `GRU` and `RNN`, which are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from textwright.configs import RecurrentConfig
from textwright.models.base import Dropout, LanguageModel, Matrices, OutputLayer, State, register

LAYERS: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
}


@register
class Recurrent(LanguageModel):
    """The model; its state is `h.0`, `h.1`, … and for the LSTM `c.0`, …, (batch, width) each."""

    config_class = RecurrentConfig
    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        # One module a layer, since widths may differ and dropout comes between them
        widths = [config.embedding_size, *config.layer_sizes]
        self.layers = nn.ModuleList(
            LAYERS[config.family](inputs, width, batch_first=True)
            for inputs, width in zip(widths, config.layer_sizes, strict=False)
        )
        self.dropouts = nn.ModuleList(
            Dropout(config.dropout, place, over_time=True) for place in range(len(widths))
        )
        self.output = nn.Linear(widths[-1], config.vocab_size)
        if config.tie_embeddings:
            self.output.weight = self.embedding.weight
        self._initialize()

    def _initialize(self) -> None:
        nn.init.normal_(self.embedding.weight, std=0.1 if self.config.tie_embeddings else 1.0)
        for name, weight in self.layers.named_parameters():
            if "bias" in name:
                nn.init.zeros_(weight)
            elif "weight_hh" in name:
                nn.init.orthogonal_(weight)
            else:
                nn.init.xavier_uniform_(weight)
            if self.config.family == "lstm" and "bias_ih" in name:
                # A forget gate that is open at first lets gradients through
                # (Jozefowicz et al., "An Empirical Exploration of Recurrent Architectures", 2015).
                width = len(weight) // self.config.gates
                nn.init.ones_(weight.detach()[width : 2 * width])
        nn.init.zeros_(self.output.bias)
        if not self.config.tie_embeddings:
            nn.init.zeros_(self.output.weight)

    @property
    def _parts(self) -> tuple[str, ...]:
        return ("h", "c") if self.config.family == "lstm" else ("h",)

    def initial_state(self, batch_size: int) -> State:
        device = self.embedding.weight.device
        return {
            f"{part}.{layer}": torch.zeros(batch_size, width, device=device)
            for layer, width in enumerate(self.config.layer_sizes)
            for part in self._parts
        }

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        features, state = self.features(tokens, state)
        return self.output(features), state

    def features(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if state is None:
            state = self.initial_state(tokens.shape[0])
        new: State = {}
        x = self.dropouts[0](self.embedding(tokens))  # (B, T, E)
        for number, layer in enumerate(self.layers):
            carried = [state[f"{part}.{number}"].unsqueeze(0) for part in self._parts]
            x, last = layer(x, tuple(carried) if len(carried) > 1 else carried[0])
            last = last if isinstance(last, tuple) else (last,)
            for part, tensor in zip(self._parts, last, strict=True):
                new[f"{part}.{number}"] = tensor.squeeze(0)
            x = self.dropouts[number + 1](x)
        return x, new

    def output_layer(self) -> OutputLayer:
        return OutputLayer(self.output.weight, self.output.bias)

    def matrices(self) -> Iterable[Matrices]:
        gates = self.config.gates
        return (Matrices(weight, gates) for weight in self.layers.parameters() if weight.ndim == 2)

    def stored_name(self, name: str) -> str:
        return re.sub(r"_l0$", "", name)  # torch numbers stacked layers; each module here has one

    def is_shared(self, name: str) -> bool:
        return self.config.tie_embeddings and name == "output.weight"
