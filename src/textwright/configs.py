"""Typed settings: of every model family, and of a training run. Imports no torch.

A model's settings live in the run folder's `config.json`, in the shape of the stock
`transformers` config wherever the family has one; `ModelConfig.to_json` and `model_config` are
the two directions. A run's settings live in its `run.toml`; every one of them can be set as
`--set section.name=value`, where a section is a field of `Settings` and `model` is one more.
"""

from __future__ import annotations

import difflib
import re
from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from textwright.errors import RequestError

MAX_VOCAB_SIZE = 1 << 20
"""More types than any text of a sane size has; a larger request is a mistake."""


class Section(BaseModel):
    """A group of settings: unknown names are errors, and assignments are checked."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


# --- models -------------------------------------------------------------------------------------


class ModelConfig(Section, ABC):
    """What every family has. A family adds fields and says how `config.json` spells them."""

    families: ClassVar[tuple[str, ...]]
    """The names this class answers to as `--model`."""

    order: ClassVar[Literal["windows", "streams"]]
    """How training text is read: shuffled windows, or contiguous streams that carry the state."""

    family: str
    vocab_size: int = Field(ge=2, le=MAX_VOCAB_SIZE)
    block_size: int = Field(ge=2, le=65_536)
    """Tokens a training sample: an attention model's context, a recurrent model's truncation."""
    num_layers: int = Field(ge=1, le=256)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The contents of `config.json`."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig | None:
        """The config that `data` describes, or None where it is of another family."""

    @abstractmethod
    def parameter_count(self) -> int:
        """Trainable parameters, shared ones counted once."""


class RecurrentConfig(ModelConfig):
    """`lstm`, `gru` and `rnn`: an embedding, a stack of recurrent layers, a dense output."""

    families = ("lstm", "gru", "rnn")
    order = "streams"

    family: Literal["lstm", "gru", "rnn"] = "lstm"
    hidden_size: int | list[int] = 256
    """Width of the layers; a list for a stack of unequal ones, from the input up."""
    embedding_size: int = Field(default=128, ge=1, le=16_384)
    tie_embeddings: bool = False
    """Share the output's weights with the embedding; the top layer must then be as wide as it."""

    @model_validator(mode="after")
    def _check(self) -> RecurrentConfig:
        if isinstance(self.hidden_size, list) and len(self.hidden_size) != self.num_layers:
            raise ValueError(
                f"model.hidden_size lists {len(self.hidden_size)} widths "
                f"for {self.num_layers} layers (model.num_layers)"
            )
        if not all(1 <= width <= 16_384 for width in self.layer_sizes):
            raise ValueError("model.hidden_size must be between 1 and 16384")
        if self.tie_embeddings and self.layer_sizes[-1] != self.embedding_size:
            raise ValueError(
                f"model.tie_embeddings needs the top layer ({self.layer_sizes[-1]}) "
                f"as wide as model.embedding_size ({self.embedding_size})"
            )
        return self

    @property
    def layer_sizes(self) -> list[int]:
        """Width of each layer, from the input up."""
        if isinstance(self.hidden_size, list):
            return self.hidden_size
        return [self.hidden_size] * self.num_layers

    @property
    def gates(self) -> int:
        """Row blocks of a layer's matrices: 4 for LSTM (i, f, g, o), 3 for GRU (r, z, n), 1."""
        return {"lstm": 4, "gru": 3, "rnn": 1}[self.family]

    def to_json(self) -> dict[str, Any]:
        return {
            "architectures": ["Recurrent"],
            "model_type": f"textwright_{self.family}",
            **self.model_dump(exclude={"family"}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RecurrentConfig | None:
        family = str(data.get("model_type", "")).removeprefix("textwright_")
        if family not in cls.families:
            return None
        fields = {name: data[name] for name in cls.model_fields if name in data}
        return cls(**{**fields, "family": family})

    def parameter_count(self) -> int:
        inputs = [self.embedding_size, *self.layer_sizes]
        layers = sum(
            self.gates * (width * (below + width) + 2 * width)
            for below, width in zip(inputs, self.layer_sizes, strict=False)
        )
        output = self.vocab_size * (1 if self.tie_embeddings else self.layer_sizes[-1] + 1)
        return self.vocab_size * self.embedding_size + layers + output


class AttentionConfig(ModelConfig):
    """What `gpt` and `transformer` share: widths, heads and a context of `block_size` tokens."""

    order = "windows"

    hidden_size: int = Field(default=128, ge=8, le=16_384)
    num_heads: int = Field(default=4, ge=1, le=256)
    tie_embeddings: bool = False
    """Share the output's weights with the embedding."""

    @model_validator(mode="after")
    def _check_heads(self) -> AttentionConfig:
        if self.hidden_size % self.num_heads or self.head_size not in (32, 64, 128):
            wanted = ", ".join(str(self.hidden_size // size) for size in (32, 64, 128)
                               if self.hidden_size % size == 0)  # fmt: skip
            raise ValueError(
                f"model.num_heads must give heads of 32, 64 or 128, so that the model can be "
                f"exported: for model.hidden_size {self.hidden_size}, "
                + (f"one of {wanted}" if wanted else "none does; take a multiple of 32")
            )
        return self

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads


class GPTConfig(AttentionConfig):
    """`gpt`: a modern decoder, exactly the shape of `Qwen3ForCausalLM`.

    RMSNorm before each block, rotary positions, RMSNorm of queries and keys, SwiGLU, no biases.
    """

    families = ("gpt",)

    family: Literal["gpt"] = "gpt"
    intermediate_size: int = Field(default=0, ge=0, le=65_536)
    """Width of the SwiGLU layer; 0 takes 8/3 of `hidden_size`, rounded up to a multiple of 32."""
    rope_theta: float = Field(default=10_000.0, gt=0)
    rms_norm_eps: float = Field(default=1e-6, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _width(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("intermediate_size"):
            width = 8 * _whole(values.get("hidden_size", 128)) / 3
            values = {**values, "intermediate_size": 32 * -int(-width // 32)}
        return values

    def to_json(self) -> dict[str, Any]:
        return {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "num_key_value_heads": self.num_heads,
            "head_dim": self.head_size,
            "hidden_act": "silu",
            "max_position_embeddings": self.block_size,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_embeddings,
            "attention_bias": False,
            "attention_dropout": 0.0,
            "use_sliding_window": False,
            "dropout": self.dropout,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GPTConfig | None:
        if data.get("model_type") != "qwen3":
            return None
        heads = data["num_attention_heads"]
        if heads and (  # none at all is named as such below
            data.get("num_key_value_heads", heads) != heads
            or data.get("head_dim") != data["hidden_size"] // heads
        ):
            raise RequestError(
                "config.json: this Qwen3 has grouped key/value heads or a head size of its own; "
                "textwright's gpt has one key/value head a query head"
            )
        return cls(
            vocab_size=data["vocab_size"],
            hidden_size=data["hidden_size"],
            intermediate_size=data["intermediate_size"],
            num_layers=data["num_hidden_layers"],
            num_heads=heads,
            block_size=data["max_position_embeddings"],
            rms_norm_eps=data.get("rms_norm_eps", 1e-6),
            # transformers 5 nests the base under rope_parameters when it saves a config
            rope_theta=data.get("rope_theta")
            or (data.get("rope_parameters") or {}).get("rope_theta", 10_000.0),
            tie_embeddings=data.get("tie_word_embeddings", False),
            dropout=data.get("dropout", 0.0),
        )

    def parameter_count(self) -> int:
        width, head = self.hidden_size, self.head_size
        block = 4 * width * width + 3 * width * self.intermediate_size + 2 * width + 2 * head
        tables = self.vocab_size * width * (1 if self.tie_embeddings else 2)
        return tables + self.num_layers * block + width


class TransformerConfig(AttentionConfig):
    """`transformer`: the decoder of Vaswani et al., "Attention Is All You Need" (2017).

    Fixed sinusoidal positions (section 3.5), multi-head attention, LayerNorm, ReLU or GELU. The
    norms stand before each block, which trains stably; so it loads as `GPT2LMHeadModel`.
    """

    families = ("transformer",)

    family: Literal["transformer"] = "transformer"
    intermediate_size: int = Field(default=0, ge=0, le=65_536)
    """Width of the feed-forward layer; 0 takes the paper's 4 × `hidden_size`."""
    activation: Literal["relu", "gelu"] = "relu"
    """`gelu` is GPT-2's tanh form."""
    layer_norm_eps: float = Field(default=1e-5, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _width(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("intermediate_size"):
            values = {**values, "intermediate_size": 4 * _whole(values.get("hidden_size", 128))}
        return values

    def to_json(self) -> dict[str, Any]:
        return {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "vocab_size": self.vocab_size,
            "n_embd": self.hidden_size,
            "n_inner": self.intermediate_size,
            "n_layer": self.num_layers,
            "n_head": self.num_heads,
            "n_positions": self.block_size,
            "activation_function": {"relu": "relu", "gelu": "gelu_new"}[self.activation],
            "layer_norm_epsilon": self.layer_norm_eps,
            "tie_word_embeddings": self.tie_embeddings,
            "embd_pdrop": self.dropout,
            "resid_pdrop": self.dropout,
            "attn_pdrop": 0.0,
            "bos_token_id": None,  # GPT-2's own would be taken otherwise
            "eos_token_id": None,
            "positions": "sinusoidal",
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TransformerConfig | None:
        if data.get("model_type") != "gpt2":
            return None
        activations: dict[Any, Literal["relu", "gelu"]] = {"relu": "relu", "gelu_new": "gelu"}
        activation = activations.get(data.get("activation_function", "gelu_new"))
        if activation is None:
            raise RequestError(
                f"config.json: activation_function {data.get('activation_function')!r} is not one "
                "that textwright's transformer has (relu, gelu_new)"
            )
        return cls(
            vocab_size=data["vocab_size"],
            hidden_size=data["n_embd"],
            intermediate_size=data.get("n_inner") or 4 * data["n_embd"],
            num_layers=data["n_layer"],
            num_heads=data["n_head"],
            block_size=data["n_positions"],
            activation=activation,
            layer_norm_eps=data.get("layer_norm_epsilon", 1e-5),
            tie_embeddings=data.get("tie_word_embeddings", True),
            dropout=data.get("resid_pdrop", 0.0),
        )

    def parameter_count(self) -> int:
        width, inner = self.hidden_size, self.intermediate_size
        block = 4 * width * width + 2 * width * inner + 4 * width + inner + width + 4 * width
        tables = self.vocab_size * width * (1 if self.tie_embeddings else 2)
        return tables + self.num_layers * block + 2 * width


def _whole(width: Any) -> int:
    """`width` as a number to reckon with; 0 where it is none, which its own check then says."""
    try:
        return int(width)
    except (TypeError, ValueError, OverflowError):
        return 0


CONFIG_CLASSES: list[type[ModelConfig]] = [RecurrentConfig, GPTConfig, TransformerConfig]
"""Every family's config; a family of your own adds its class here when its module is imported."""


def config_class(family: str) -> type[ModelConfig]:
    """The config class of `--model family`.

    Raises:
        RequestError: there is no such family; the message offers the nearest.
    """
    for candidate in CONFIG_CLASSES:
        if family in candidate.families:
            return candidate
    known = [name for candidate in CONFIG_CLASSES for name in candidate.families]
    raise RequestError(f"unknown model {family!r}{nearest(str(family), known)}")


def model_config(data: dict[str, Any]) -> ModelConfig:
    """The model config that the contents of a `config.json` describe.

    Raises:
        RequestError: no family has this shape, or a value is missing or out of range.
    """
    for candidate in CONFIG_CLASSES:
        try:
            config = candidate.from_json(data)
        except (KeyError, ValidationError, TypeError, AttributeError) as error:
            raise RequestError(f"config.json is damaged: {one_line(error)}") from error
        if config is not None:
            return config
    raise RequestError(f"config.json: unknown model_type {data.get('model_type')!r}")


# --- a run --------------------------------------------------------------------------------------


class CorpusSettings(Section):
    """Where the text comes from and how it is split."""

    sources: list[str] = ["shakespeare"]
    validation: str | None = None
    """A file (or any corpus) to validate on, in place of a fraction."""
    validation_fraction: float = Field(default=0.1, gt=0.0, lt=1.0)
    """The end of the text that is kept for validation, where the corpus has no split of its own."""


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
    stop: list[str] = []
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
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    threads: int = Field(default=0, ge=0)
    """Processor threads; 0 takes what the machine gives. Exact resuming needs the same number."""


class Settings(Section):
    """Every setting of a run but the model's, which `config.json` holds."""

    corpus: CorpusSettings = CorpusSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    training: TrainingSettings = TrainingSettings()
    sampling: SamplingSettings = SamplingSettings()


def nearest(name: str, known: list[str]) -> str:
    """The end of an error about an unknown name: the likeliest one meant, or all there are."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def one_line(error: Exception) -> str:
    """What is wrong with some settings, as one line that names each."""
    if not isinstance(error, ValidationError):
        return re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")
    faults = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"] if not str(part).startswith("function"))
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{place}: {message} (got {fault['input']!r})" if place else message)
    return "; ".join(dict.fromkeys(faults))
