"""Makes the golden vectors beside this file, from the torch models: see README.md."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from small_models import random_weights, small_config, write_run  # noqa: E402
from textwright.configs import ModelConfig  # noqa: E402
from textwright.models import build  # noqa: E402
from textwright.tokenizers import train_tokenizer  # noqa: E402

TEXT = "the quick brown fox jumps over the lazy dog.\nHELLO, world!"
TOKENS = 44
MODELS: dict[str, dict[str, object]] = {
    "lstm": {"hidden_size": [20, 12]},
    "lstm-tied": {"hidden_size": 24, "embedding_size": 24, "tie_embeddings": True},
    "gru": {"hidden_size": [24, 10]},
    "rnn": {},
    "gpt": {"intermediate_size": 72, "rope_theta": 500.0},
    "gpt-tied": {"tie_embeddings": True, "num_layers": 1, "num_heads": 1, "block_size": 17},
    "transformer": {"intermediate_size": 100},
    "transformer-tied": {"tie_embeddings": True, "num_layers": 1, "activation": "gelu",
                         "block_size": 15},
    "transformer-learned": {"activation": "gelu_erf", "positions": "learned"},
}  # fmt: skip
"""Widths that are no multiples of a vector's, odd windows, unequal layers: what may go wrong."""


def logits(config: ModelConfig, weights: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """What the torch model says after each token, (T, V)."""
    model = build(config).eval()
    model.load_weights({name: torch.tensor(array) for name, array in weights.items()})
    with torch.no_grad():
        return model(torch.tensor(tokens)[None])[0][0].numpy()


def main() -> None:
    tokenizer = train_tokenizer("char", lambda: [TEXT])
    for name, fields in MODELS.items():
        config = small_config(name.split("-", 1)[0], tokenizer.vocab_size, **fields)
        half = {
            tensor: values.astype(np.float16)
            for tensor, values in random_weights(config, seed=len(name)).items()
        }
        whole = {tensor: values.astype(np.float32) for tensor, values in half.items()}
        tokens = np.random.default_rng(1).integers(0, tokenizer.vocab_size, TOKENS)
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        run = write_run(folder, config, whole, tokenizer, temperature=1.0)
        save_file(half, run.weights_file)
        rows = [[float(f"{value:.7g}") for value in row] for row in logits(config, whole, tokens)]
        vectors = {
            "tokens": tokens.tolist(),
            "logits": rows,
            "block_size": config.block_size if config.order == "windows" else None,
        }
        (folder / "vectors.json").write_text(json.dumps(vectors) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
