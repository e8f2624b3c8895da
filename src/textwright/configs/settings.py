"""The settings of a run but the model's: what `run.toml` holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from textwright.configs.section import MAX_VOCAB_SIZE, Section

Precision = Literal["auto", "float32", "bfloat16"]
"""A number format, or the one that is fast on this machine."""


class CorpusSettings(Section):
    """Where the text comes from and how it is split."""

    sources: list[str] = Field(default=["shakespeare"])
    validation: str | None = None
    """A file (or any corpus) to validate on, in place of a fraction."""
    validation_fraction: float = Field(default=0.1, gt=0.0, lt=1.0)
    """The share that is kept for validation, where the corpus has no split of its own: the end of
    running text, whole conversations as their hashes choose."""
    form: Literal["auto", "text", "conversations"] = "auto"
    """What the files are taken for; `auto` looks at them."""


class TokenizerSettings(Section):
    """How text becomes tokens."""

    kind: Literal["char", "word", "bpe"] = "char"
    vocab_size: int | None = Field(default=None, ge=2, le=MAX_VOCAB_SIZE)
    """Types to keep; char takes every distinct character and has no such setting."""
    lowercase: bool = False


def _none_or_value(value: Any) -> Any:
    """`none` as a value turns a limit off, since TOML and the command line have no null."""
    return None if isinstance(value, str) and value.lower() in ("none", "") else value


class SamplingSettings(Section):
    """How the next token is drawn from the model's distribution."""

    temperature: float = Field(default=0.8, ge=0.0, le=100.0)
    """Logits are divided by it; 0 takes the likeliest token each time (greedy)."""
    top_k: int = 0
    """Keep the k likeliest tokens; 0 or less keeps all."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Keep the likeliest tokens that together reach this probability (Holtzman et al., 2020)."""
    min_p: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Keep tokens at least this likely, relative to the likeliest (Nguyen et al., 2024)."""
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=100.0)
    """Logits of tokens already there shrink by this factor (Keskar et al., 2019, section 4.1)."""
    stop: list[str] = Field(default=[])
    """Strings that end the text; they are not part of it."""
    seed: Annotated[int | None, BeforeValidator(_none_or_value)] = Field(default=None, ge=0)
    """The same seed, model, prompt and settings give the same text; None draws one."""


class TrainingSettings(Section):
    """The recipe. Presets fill what the user does not set; `run.toml` records what was in force."""

    seed: int = Field(default=1, ge=0, lt=2**31)
    parent: str | None = None
    """A run to begin with, in place of fresh weights; it decides model and tokenizer."""
    steps: int | None = Field(default=None, ge=1)
    """How long to train: optimiser steps, or `epochs`, or `minutes`; the first one set counts."""
    epochs: float | None = Field(default=None, gt=0)
    minutes: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=8, ge=1)
    """Samples of `block_size` tokens an optimiser step, over all accumulation and workers."""
    micro_batch_size: int = Field(default=0, ge=0)
    """Samples in memory at once; gradients accumulate over the batch. 0: the whole batch, or with
    a large vocabulary as many as have 16 million logits."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """`muon` orthogonalises the updates of the hidden matrices; the rest always takes AdamW."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """AdamW's."""
    matrix_learning_rate: float = Field(default=0.02, gt=0)
    """Muon's."""
    weight_decay: float = Field(default=0.1, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Muon's."""
    warmup: float = Field(default=0.02, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    decay: float = Field(default=0.6, ge=0, le=1)
    """Share of the steps, at the end, over which it falls."""
    final_learning_rate: float = Field(default=0.0, ge=0, le=1)
    """Where it ends, as a share of its height."""
    gradient_clip: float = Field(default=1.0, ge=0)
    """Largest norm of the whole gradient; 0 leaves it as it is."""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    """Evaluate and keep an exponential average of the weights; 0 keeps the weights themselves."""
    fresh_starts: float = Field(default=0.0, ge=0, le=1)
    """Share of a recurrent model's samples that a step reads from the initial state, in place of
    the one carried: so it learns to begin, as it must with every prompt."""
    sampled_softmax: int | None = Field(default=None, ge=0)
    """Types drawn a step to estimate the loss of a large vocabulary with; 0 takes them all, None
    draws 2,048 on a processor where there are over 8,192."""
    patience: int = Field(default=10, ge=0)
    """Evaluations without a better one after which training stops early; 0 never does."""
    eval_every: int | None = Field(default=None, ge=1)
    """Steps between evaluations; None lets the plan choose."""
    eval_tokens: int | None = Field(default=None, ge=0)
    """Validation tokens an evaluation reads; 0 reads them all, None lets the plan choose."""
    checkpoint_every: int | None = Field(default=None, ge=1)
    """Steps between checkpoints; None writes one at each evaluation."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """How many of the last ones stay, beside the best."""
    sample_prompt: str = ""
    """What the sample at each evaluation continues; empty starts at a line start."""
    sample_tokens: int = Field(default=200, ge=1, le=10_000)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Precision = "auto"
    """Of matrix products; what `auto` chose on this machine is what a run holds."""
    compile: Literal["auto", "on", "off"] = "auto"
    loss_on: Literal["both", "assistant"] = "both"
    """Of conversations: learn the words of both sides, or of the assistant alone."""
    threads: int = Field(default=0, ge=0)
    """Processor threads; 0 takes what the machine gives. Exact resuming needs the same number."""


class Settings(Section):
    """Every setting of a run but the model's, which `config.json` holds."""

    corpus: CorpusSettings = CorpusSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    training: TrainingSettings = TrainingSettings()
    sampling: SamplingSettings = SamplingSettings()
