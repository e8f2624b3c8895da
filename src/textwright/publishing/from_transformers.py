"""`--from transformers`: a folder or a model on the Hub, with the architecture of Qwen3 or GPT-2.

The weights are in `model.safetensors`, in several files too, or in `pytorch_model.bin`, which is
read as data alone. The tokenizer must be one of characters, words, or GPT-2's byte pairs.
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
from textwright.publishing.imports import ImportedModel
from textwright.publishing.vocabularies import read_tokenizer

if TYPE_CHECKING:
    from torch import Tensor


def read(path: str, tokenizer: Path | None) -> ImportedModel:
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
    own = read_tokenizer(tokenizer or folder / "tokenizer.json")
    weights, source = _weights(folder)
    if own.vocab_size < config.vocab_size:  # the embedding is padded
        config = config.model_copy(update={"vocab_size": own.vocab_size})
    return ImportedModel(config, _renamed(config, weights), own, source)


def _weights(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """All tensors, and the file to record as their source."""
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
        except Exception as error:  # SafetensorError, or an error of the disk
            raise RequestError(f"{part} is damaged ({error}); copy it again") from error
    if parts:
        return weights, parts[0]
    file = folder / "pytorch_model.bin"
    if not file.is_file():
        raise RequestError(
            f"{folder} has neither model.safetensors nor pytorch_model.bin; "
            "name a folder that save_pretrained wrote"
        )
    return tensors(read_checkpoint(file), file), file


def _renamed(config: AttentionConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights by our names, without the masks that GPT-2's files may have."""
    trunk = "model." if isinstance(config, GPTConfig) else "transformer."
    renamed = {}
    for name, tensor in weights.items():
        if re.search(r"\.attn\.(masked_)?bias$|rotary_emb\.inv_freq$", name):
            continue
        renamed[name if name.startswith((trunk, "lm_head.")) else trunk + name] = tensor
    if config.tie_embeddings:
        renamed.pop("lm_head.weight", None)
    for name in ("model.embed_tokens.weight", "transformer.wte.weight", "lm_head.weight"):
        if name in renamed:
            renamed[name] = renamed[name][: config.vocab_size]
    return renamed
