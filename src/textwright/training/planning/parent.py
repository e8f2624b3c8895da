"""Beginning with a model that exists: which one, what it decides, what is recorded. No torch here.

The parent decides family, shape, block size and tokenizer; the request keeps the rest: text, time,
recipe, dropout. What the weights have read before, and under what licence, goes into `run.toml`,
so that the lineage of a model is known however often it is continued.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright import runs
from textwright.configs import ModelConfig
from textwright.errors import RunError
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.planning.presets import SIZES, model_settings


@dataclass(frozen=True)
class Parent:
    """The model that a training begins with."""

    run: Run
    reference: str
    """What finds it from any folder."""
    config: ModelConfig
    tokenizer: Tokenizer

    @property
    def name(self) -> str:
        return self.reference[3:] if self.reference.startswith("hf:") else self.run.name

    def settings(self) -> dict[str, Any]:
        """What it decides of a training, by dotted name."""
        return {
            "model.family": self.config.family,
            **{f"model.{name}": value for name, value in self.config.model_dump().items()},
            "tokenizer.kind": self.tokenizer.kind,
            "tokenizer.vocab_size": self.tokenizer.vocab_size,
            "tokenizer.lowercase": self.tokenizer.lowercase,
        }

    def record(self) -> dict[str, Any]:
        """What `run.toml` says of it: name, sha256 of its weights, the texts that they have read.

        Raises:
            RunError: its weights can't be read.
        """
        try:
            with self.run.weights_file.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise RunError(f"run {self.run.name!r}: {error}") from error
        return {"name": self.name, "sha256": sha256, "texts": _texts(self.run)}


def find_parent(reference: str, folder: Path) -> Parent:
    """The run that `reference` names, as `runs.find` takes it.

    Raises:
        RunError: there is no such run, it is damaged, or it isn't trained yet.
        DownloadError: it is on the Hub, which can't be reached.
    """
    run = runs.find(reference, folder)
    config, tokenizer = run.config(), Tokenizer.load(run)
    if not run.weights_file.is_file():
        raise RunError(f"run {run.name!r} has no model.safetensors yet; train it first")
    if config.vocab_size != tokenizer.vocab_size:
        raise RunError(
            f"run {run.name!r}: tokenizer.json has {tokenizer.vocab_size:,} tokens and the model "
            f"{config.vocab_size:,}; copy both from one training"
        )
    return Parent(run, _absolute_reference(reference, run), config, tokenizer)


def _absolute_reference(reference: str, run: Run) -> str:
    """A reference to `run` that means it from any folder: its path, where it has one of its own."""
    if reference.startswith("hf:"):
        return reference
    if run.is_shipped:
        return run.name
    return str(run.path.absolute())


def same_parent(reference: str, recorded: str, folder: Path) -> bool:
    """Whether `reference` means the parent that `run.toml` records, which may be gone by now."""
    try:
        return _absolute_reference(reference, runs.find(reference, folder)) == recorded
    except RunError:
        return runs.name_key(Path(reference).name) == runs.name_key(Path(recorded).name)


def recipe_size(parent: Parent) -> str | None:
    """The size whose recipe goes with the parent: its own, else the one nearest in parameters."""
    sizes = SIZES.get(parent.config.family)
    if sizes is None:
        return None
    own = _table(parent.run.settings(), "plan").get("size")
    if own in sizes:
        return str(own)
    config = parent.config

    def distance(size: str) -> float:
        parameters = model_settings(config.family, size, config.vocab_size).parameter_count()
        return abs(math.log(parameters / config.parameter_count()))

    return min(sizes, key=distance)


def _texts(run: Run) -> list[dict[str, Any]]:
    """What the weights of `run` have read, the first text first: name, licence, sha256, sources."""
    recorded = run.settings()
    before = _table(recorded, "parent").get("texts")
    texts = [text for text in before if isinstance(text, dict)] if isinstance(before, list) else []
    data = _table(recorded, "data")
    if not data:
        return [*texts, *_texts_of_card(run)]
    sources = [
        source["address"]
        for source in data.get("sources", ())
        if isinstance(source, dict) and source.get("address")
    ]
    own = {name: data.get(name) for name in ("name", "licence", "sha256")}
    return [*texts, {**own, "sources": sources}]


def _texts_of_card(run: Run) -> list[dict[str, Any]]:
    """The text that a model folder without `run.toml` names in its card, as the Hub has it."""
    from huggingface_hub import ModelCard

    if not run.card_file.is_file():
        return []
    try:
        card = ModelCard.load(run.card_file, ignore_metadata_errors=True).data
    except Exception:  # whatever YAML, and the library, make of a damaged one
        return []
    results = card.eval_results or []
    licence = card.license_name if card.license in (None, "other") else card.license
    name = results[0].dataset_name if results else None
    return [{"name": name, "licence": licence}] if name or licence else []


def _table(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}
