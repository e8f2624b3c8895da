"""Recurrent models as a torch class that `huggingface_hub` saves and loads.

`RecurrentModel.from_pretrained("user/name")` reads the `config.json` and `model.safetensors` of a
run, and `save_pretrained` writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import load_file, save_file

from textwright.configs import RecurrentConfig, model_config
from textwright.errors import RequestError
from textwright.models.recurrent import Recurrent


class RecurrentModel(
    Recurrent,
    PyTorchModelHubMixin,
    library_name="textwright",
    pipeline_tag="text-generation",
    tags=["textwright"],
):
    """`lstm`, `gru` or `rnn`: `(tokens, state) → (logits, state)`, in torch."""

    def __init__(self, **config: Any) -> None:
        """
        Args:
            config: the contents of a `config.json`.

        Raises:
            RequestError: it describes no recurrent model.
        """
        typed = model_config(config)
        if not isinstance(typed, RecurrentConfig):
            raise RequestError(
                f"config.json describes a {typed.family}; transformers' AutoModelForCausalLM loads "
                "it, RecurrentModel loads lstm, gru and rnn"
            )
        super().__init__(typed)

    def _save_pretrained(self, save_directory: Path) -> None:
        save_file(self.weights(), save_directory / "model.safetensors", metadata={"format": "pt"})

    @classmethod
    def _load_as_safetensor(  # type: ignore[override]  # the base's is of any model
        cls, model: RecurrentModel, model_file: str, map_location: str, strict: bool
    ) -> RecurrentModel:
        model.load_weights(load_file(model_file, device=map_location))
        return model.to(map_location).eval()
