"""`import`: another program's model as a run; each source is a module with one function."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textwright import atomic, runs
from textwright.configs import ModelConfig, SamplingSettings, nearest
from textwright.errors import RequestError, RunError
from textwright.generation import load
from textwright.generation.options import write_generation_config
from textwright.reporting import name_run, write_card
from textwright.runs import Run
from textwright.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

SOURCES = {
    "nanogpt": "textwright.publishing.from_nanogpt",
    "char-rnn.pytorch": "textwright.publishing.from_char_rnn",
    "keras": "textwright.publishing.from_keras",
    "transformers": "textwright.publishing.from_transformers",
}
"""The module of each source, imported when it is needed; its `read` returns an `ImportedModel`."""


@dataclass(frozen=True)
class ImportedModel:
    """A model read from another program's files, in the terms of a family of ours."""

    config: ModelConfig
    weights: Mapping[str, Tensor]
    """As the family's `load_weights` takes them."""
    tokenizer: Tokenizer
    file: Path
    """The file with the weights."""


def import_model(
    path: str | Path,
    source: str,
    *,
    name: str | None = None,
    tokenizer: str | Path | None = None,
    runs_folder: str | Path | None = None,
) -> Run:
    """Make a run from another program's model. Needs torch.

    Args:
        path: the checkpoint or folder; for `transformers` also `hf:owner/name`.
        source: `nanogpt`, `char-rnn.pytorch`, `keras` or `transformers`.
        name: of the run; by default after `path`.
        tokenizer: a `tokenizer.json`, or a nanoGPT `meta.pkl`, where the source comes without; for
            `keras` also the text that it was trained on, or a JSON list of its characters.
        runs_folder: the folder of runs.

    Returns:
        The run, which can generate and be the parent of a training.

    Raises:
        RequestError: there is no such model, it can't be loaded safely, or no family of ours has
            its architecture.
    """
    if source not in SOURCES:
        raise RequestError(f"no import from {source!r}{nearest(source, list(SOURCES))}")
    folder = runs.runs_folder(runs_folder)
    if name is not None:
        runs.check_free(name, folder)
    read: Callable[..., ImportedModel] = importlib.import_module(SOURCES[source]).read
    model = read(str(path), Path(tokenizer) if tokenizer else None)
    if model.tokenizer.vocab_size != model.config.vocab_size:
        raise RequestError(
            f"the tokenizer has {model.tokenizer.vocab_size:,} tokens and the model "
            f"{model.config.vocab_size:,}; name the model's own with --tokenizer"
        )
    weights = _check_weights(model)
    default = str(path).removeprefix("hf:").rstrip("/").rsplit("/", 1)[-1]
    run = runs.create(name, re.sub(r"\.(pt|keras|weights\.h5)$", "", default), folder)
    try:
        _write(run, model, weights, source)
    except BaseException:
        run.remove()
        raise
    return run


def import_run(
    archive: str | Path, *, name: str | None = None, runs_folder: str | Path | None = None
) -> Run:
    """Make a run of a run in a ZIP archive, as a training in a browser's tab is downloaded.

    Args:
        archive: the file.
        name: of the run; by default after the file.
        runs_folder: the folder of runs.

    Returns:
        The run, with a card and a report; it generates, and its training can be gone on with.

    Raises:
        RunError: there is no such archive, it holds no run, or a file in it is damaged.
    """
    run = runs.unpack(Path(archive), name, runs.runs_folder(runs_folder))
    try:
        load(run)  # names what is damaged
        name_run(run)
    except BaseException:
        run.remove()
        raise
    return run


def _check_weights(model: ImportedModel) -> Mapping[str, Tensor]:
    """The weights as a run stores them. Raises `RequestError` for wrong shapes and values."""
    import torch

    from textwright import models

    module = models.build(model.config)
    try:
        module.load_weights(model.weights)
    except RunError as error:
        raise RequestError(
            f"{model.file} is built otherwise than what can be imported: {error}"
        ) from error
    if not all(torch.isfinite(tensor).all() for tensor in module.weights().values()):
        raise RequestError(f"{model.file} holds weights that aren't finite numbers; take another")
    return module.weights()


def _write(run: Run, model: ImportedModel, weights: Mapping[str, Tensor], source: str) -> None:
    from safetensors.torch import save

    run.write_json(run.config_file, model.config.to_json())
    model.tokenizer.save(run)
    write_generation_config(run, SamplingSettings(), model.tokenizer)
    atomic.write_bytes(run.weights_file, save(dict(weights), metadata={"format": "pt"}))
    with model.file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    run.write_settings(
        {
            "imported": {"from": source, "file": model.file.name, "sha256": digest},
            "tokenizer": {"kind": model.tokenizer.kind},
        }
    )
    write_card(run)
