"""`--from nanogpt`: a checkpoint of karpathy/nanoGPT, as a `transformer`.

Its model is GPT-2, which the `transformer` family covers: learned positions, the exact GELU, tied
embeddings. Matrices are transposed; a model trained without biases (`bias=False`) gets zeros.
Characters are in the `meta.pkl` of its data folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from textwright.configs import TransformerConfig, one_line
from textwright.errors import RequestError
from textwright.publishing.checkpoints import read_checkpoint, tensors
from textwright.publishing.imports import ImportedModel
from textwright.publishing.vocabularies import read_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

_MATRICES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def read(path: str, tokenizer: Path | None) -> ImportedModel:
    """Read `ckpt.pt`, or the `out` folder that has it. Raises `RequestError`."""
    file = Path(path)
    if file.is_dir():
        file = file / "ckpt.pt"
    data = read_checkpoint(file)
    arguments = data.get("model_args") if isinstance(data, dict) else None
    if not isinstance(arguments, dict) or "model" not in data:
        raise RequestError(
            f"{file} is no checkpoint of nanoGPT: it has no model and model_args; take another"
        )
    weights = {
        name.removeprefix("_orig_mod."): tensor
        for name, tensor in tensors(data["model"], file).items()
    }
    characters = read_tokenizer(tokenizer or _meta_file(file, data))
    config = _config(file, arguments, characters.vocab_size)
    try:
        return ImportedModel(config, _renamed(config, weights), characters, file)
    except KeyError as error:
        raise RequestError(
            f"{file} is no checkpoint of nanoGPT: it lacks {error}; take another"
        ) from error


def _meta_file(file: Path, data: Mapping[str, Any]) -> Path:
    """The table of characters, from the usual places in a checkout of nanoGPT."""
    settings = data.get("config")
    dataset = str(settings.get("dataset", "")) if isinstance(settings, dict) else ""
    candidates = [file.with_name("meta.pkl")]
    candidates += [root / "data" / dataset / "meta.pkl" for root in (file.parent.parent, Path())]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise RequestError(
        f"no meta.pkl near {file}, which has the characters of the data set {dataset!r}; name it, "
        "or the tokenizer.json of a model of GPT-2's tokens, with --tokenizer"
    )


def _config(file: Path, arguments: Mapping[str, Any], vocab_size: int) -> TransformerConfig:
    rows = arguments.get("vocab_size")
    if isinstance(rows, int) and vocab_size > rows:
        raise RequestError(
            f"{file} has {rows:,} tokens, the tokenizer {vocab_size:,}; name the model's own with "
            "--tokenizer"
        )
    try:
        return TransformerConfig(
            vocab_size=vocab_size,  # nanoGPT pads GPT-2's to 50,304
            hidden_size=arguments["n_embd"],
            num_layers=arguments["n_layer"],
            num_heads=arguments["n_head"],
            block_size=arguments["block_size"],
            dropout=arguments.get("dropout") or 0.0,
            activation="gelu_erf",
            positions="learned",
            tie_embeddings=True,
        )
    except KeyError as error:
        raise RequestError(
            f"{file} is no checkpoint of nanoGPT: it lacks {error}; take another"
        ) from error
    except ValidationError as error:
        raise RequestError(f"{file} can't be imported: {one_line(error)}") from error


def _renamed(config: TransformerConfig, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    width = config.hidden_size
    renamed = {
        "transformer.wte.weight": weights["transformer.wte.weight"][: config.vocab_size],
        "transformer.wpe.weight": weights["transformer.wpe.weight"],
    }

    def take(name: str, outputs: int, *, transpose: bool = False) -> None:
        weight = weights[f"{name}.weight"]
        renamed[f"{name}.weight"] = weight.t() if transpose else weight
        bias = weights.get(f"{name}.bias")
        renamed[f"{name}.bias"] = weight.new_zeros(outputs) if bias is None else bias

    sizes = (3 * width, width, config.intermediate_size, width)
    for layer in range(config.num_layers):
        name = f"transformer.h.{layer}"
        for part in ("ln_1", "ln_2"):
            take(f"{name}.{part}", width)
        for part, size in zip(_MATRICES, sizes, strict=True):
            take(f"{name}.{part}", size, transpose=True)
    take("transformer.ln_f", width)
    return renamed
