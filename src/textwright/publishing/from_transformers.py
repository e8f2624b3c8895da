"""`--from transformers`: a folder, or a model of the Hub, of the shape of Qwen3 or GPT-2.

The weights are read from `model.safetensors`, in parts too, or from `pytorch_model.bin` as data
alone. The tokenizer must be one that textwright has: characters, words, or GPT-2's byte pairs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textwright import runs
from textwright.configs import AttentionConfig, GPTConfig, model_config
from textwright.errors import MissingPackageError, RequestError
from textwright.publishing.checkpoints import read_checkpoint, tensors
from textwright.publishing.importing import Imported
from textwright.publishing.vocabularies import read_tokenizer

if TYPE_CHECKING:
    from torch import Tensor


def read(path: str, tokenizer: Path | None) -> Imported:
    """Read a model folder, or `hf:owner/name`. Raises `RequestError`."""
    folder = runs.find(path).path if path.startswith("hf:") else Path(path)
    file = folder / "config.json"
    if not file.is_file():
        raise RequestError(f"{folder} has no config.json; name a folder that save_pretrained wrote")
    try:
        settings: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{file} is damaged ({error}); copy it again") from error
    if not isinstance(settings, dict):
        raise RequestError(f"{file} is damaged (it holds no settings); copy it again")
    try:
        config = model_config(settings)
    except RequestError as error:
        raise RequestError(f"{folder}: {error}") from error
    if not isinstance(config, AttentionConfig):
        raise RequestError(f"{folder} is a run of textwright already; use it as it is")
    found = read_tokenizer(tokenizer or folder / "tokenizer.json")
    weights, source = _weights(folder)
    if found.vocab_size < config.vocab_size:  # a table padded beyond its tokenizer
        config = config.model_copy(update={"vocab_size": found.vocab_size})
    return Imported(config, _ours(config, weights), found, source)


def _weights(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """Every tensor, and the file that is named as their source."""
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingPackageError(
            "an import needs torch; pip install 'textwright[train]'"
        ) from error
    parts = sorted(folder.glob("model*.safetensors"))
    weights: dict[str, Tensor] = {}
    for part in parts:
        try:
            weights |= load_file(part)
        except Exception as error:  # SafetensorError, or of the disk
            raise RequestError(f"{part} is damaged ({error}); copy it again") from error
    if parts:
        return weights, parts[0]
    file = folder / "pytorch_model.bin"
    if not file.is_file():
        raise RequestError(f"{folder} has neither model.safetensors nor pytorch_model.bin")
    return tensors(read_checkpoint(file), file), file


def _ours(config: AttentionConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights by our names; masks, which GPT-2's files may have, are left out."""
    trunk = "model." if isinstance(config, GPTConfig) else "transformer."
    ours = {}
    for name, tensor in weights.items():
        if re.search(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$", name):
            continue
        ours[name if name.startswith((trunk, "lm_head.")) else trunk + name] = tensor
    if config.tie_embeddings:
        ours.pop("lm_head.weight", None)
    for name in ("model.embed_tokens.weight", "transformer.wte.weight", "lm_head.weight"):
        if name in ours:
            ours[name] = ours[name][: config.vocab_size]
    return ours
