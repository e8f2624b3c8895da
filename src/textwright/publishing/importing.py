"""`import`: a model that something else trained, as a run. One function a source, in its file."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textwright import atomic, runs
from textwright.configs import ModelConfig, SamplingSettings, nearest
from textwright.errors import RequestError, RunError
from textwright.generation import write_generation_config
from textwright.reporting import write_card
from textwright.runs import Run
from textwright.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

SOURCES = {
    "nanogpt": "textwright.publishing.from_nanogpt",
    "char-rnn.pytorch": "textwright.publishing.from_char_rnn",
    "transformers": "textwright.publishing.from_transformers",
}
"""The module of each source, whose `read` does it; imported when it is asked for."""


@dataclass(frozen=True)
class Imported:
    """A model in our shape."""

    config: ModelConfig
    weights: Mapping[str, Tensor]
    """As the family's `load_weights` takes them."""
    tokenizer: Tokenizer
    file: Path
    """Where the weights came from."""


def import_model(
    path: str | Path,
    source: str,
    *,
    name: str | None = None,
    tokenizer: str | Path | None = None,
    runs_folder: str | Path | None = None,
) -> Run:
    """Make a run of a model that something else trained. Needs torch.

    Args:
        path: the checkpoint or folder; for `transformers` also `hf:owner/name`.
        source: `nanogpt`, `char-rnn.pytorch` or `transformers`.
        name: of the run; otherwise it is called after `path`.
        tokenizer: a `tokenizer.json`, or a nanoGPT `meta.pkl`, where the source has none with it.
        runs_folder: where runs live.

    Returns:
        The run: it generates, and `train --from` goes on with it.

    Raises:
        RequestError: there is no such model, it can't be loaded safely, or it has a shape that no
            family has.
    """
    if source not in SOURCES:
        raise RequestError(f"no import from {source!r}{nearest(source, list(SOURCES))}")
    folder = runs.runs_folder(runs_folder)
    if name is not None:
        runs.check_free(name, folder)
    read: Callable[[str, Path | None], Imported] = importlib.import_module(SOURCES[source]).read
    found = read(str(path), Path(tokenizer) if tokenizer else None)
    if found.tokenizer.vocab_size != found.config.vocab_size:
        raise RequestError(
            f"the tokenizer has {found.tokenizer.vocab_size:,} tokens and the model "
            f"{found.config.vocab_size:,}; name the model's own with --tokenizer"
        )
    weights = _fitting(found)
    default = str(path).removeprefix("hf:").rstrip("/").rsplit("/", 1)[-1]
    run = runs.create(name, default.removesuffix(".pt"), folder)
    try:
        _write(run, found, weights, source)
    except BaseException:
        run.remove()
        raise
    return run


def _fitting(found: Imported) -> Mapping[str, Tensor]:
    """The weights as they are stored, once they are known to fit. Raises `RequestError`."""
    import torch

    from textwright import models

    model = models.build(found.config)
    try:
        model.load_weights(found.weights)
    except RunError as error:
        raise RequestError(
            f"{found.file}: {error}; is it of a shape that this can read?"
        ) from error
    if not all(torch.isfinite(tensor).all() for tensor in model.weights().values()):
        raise RequestError(f"{found.file} holds weights that aren't finite numbers; take another")
    return model.weights()


def _write(run: Run, found: Imported, weights: Mapping[str, Tensor], source: str) -> None:
    from safetensors.torch import save

    run.write_json(run.config_file, found.config.to_json())
    found.tokenizer.save(run)
    write_generation_config(run, SamplingSettings(), found.tokenizer)
    atomic.write_bytes(run.weights_file, save(dict(weights), metadata={"format": "pt"}))
    with found.file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    run.write_settings(
        {
            "imported": {"from": source, "file": found.file.name, "sha256": digest},
            "tokenizer": {"kind": found.tokenizer.kind},
        }
    )
    write_card(run)
