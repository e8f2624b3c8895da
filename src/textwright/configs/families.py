"""The settings of each model family, and their form in `config.json`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from textwright.configs.names import nearest
from textwright.configs.section import MAX_VOCAB_SIZE, Section, one_line
from textwright.errors import RequestError


class ModelConfig(Section, ABC):
    """The settings of every family; each adds fields and the conversion to `config.json`."""

    families: ClassVar[tuple[str, ...]]
    """The values of `--model` that select this class."""

    order: ClassVar[Literal["windows", "streams"]]
    """How training reads text: shuffled windows, or contiguous streams that carry the state."""

    family: str
    vocab_size: int = Field(ge=2, le=MAX_VOCAB_SIZE)
    block_size: int = Field(ge=2, le=65_536)
    """Tokens of a training sample: the context length; of recurrent models, of truncated BPTT."""
    num_layers: int = Field(ge=1, le=256)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The contents of `config.json`."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig | None:
        """The config of `data`, or None if that is of another family."""

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
    """Share the output weights with the embedding; the top layer must have its width."""

    @model_validator(mode="before")
    @classmethod
    def _count_layers(cls, values: Any) -> Any:
        """As many layers as widths, where only those are given."""
        if isinstance(values, dict) and "num_layers" not in values:
            widths = values.get("hidden_size")
            if isinstance(widths, list | tuple) and widths:
                return {**values, "num_layers": len(widths)}
        return values

    @model_validator(mode="after")
    def _check(self) -> RecurrentConfig:
        if isinstance(self.hidden_size, list) and len(self.hidden_size) != self.num_layers:
            raise ValueError(
                f"model.hidden_size lists {len(self.hidden_size)} widths "
                f"for {self.num_layers} layers (model.num_layers, which may be left out)"
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
    """Settings of `gpt` and `transformer`: widths, heads and a context of `block_size` tokens."""

    order = "windows"

    hidden_size: int = Field(default=128, ge=8, le=16_384)
    num_heads: int = Field(default=4, ge=1, le=256)
    tie_embeddings: bool = False
    """Share the output weights with the embedding."""

    @model_validator(mode="after")
    def _check_heads(self) -> AttentionConfig:
        if self.hidden_size % self.num_heads or self.head_size not in (32, 64, 128):
            valid = ", ".join(str(self.hidden_size // size) for size in (32, 64, 128)
                              if self.hidden_size % size == 0)  # fmt: skip
            raise ValueError(
                f"model.num_heads must give heads of 32, 64 or 128, so that the model can be "
                f"exported: for model.hidden_size {self.hidden_size}, "
                + (f"one of {valid}" if valid else "none does; take a multiple of 32")
            )
        return self

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    _FIXED: ClassVar[dict[str, Any]] = {
        "attention_bias": False, "use_sliding_window": False, "hidden_act": "silu",
        "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True,
    }  # fmt: skip
    """Fields of `transformers` that have one value in the models here."""

    @classmethod
    def _check_fixed(cls, data: dict[str, Any]) -> None:
        """Raises `RequestError` where `config.json` describes another attention or activation."""
        others = [(name, repr(data[name])) for name, value in cls._FIXED.items()
                  if data.get(name, value) != value]  # fmt: skip
        for name in ("rope_scaling", "rope_parameters"):  # the second of transformers 5
            rope = data.get(name) or {}
            if not isinstance(rope, dict):
                raise TypeError(f"{name} is {rope!r}")
            kind = rope.get("rope_type") or rope.get("type") or "default"
            if kind != "default":
                others.append((name, f"of the type {kind!r}"))
        if others:
            name, found = others[0]
            raise RequestError(
                f"config.json: {name} is {found}, which textwright's models haven't; "
                "run this model with transformers"
            )


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
            width = 8 * _as_int(values.get("hidden_size", 128)) / 3
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
        cls._check_fixed(data)
        heads = data["num_attention_heads"]
        if heads and (  # 0 is an error of its own
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
    norms come before each block, which trains stably; so it loads as `GPT2LMHeadModel`.
    """

    _ACTIVATIONS: ClassVar[dict[str, str]] = {
        "relu": "relu", "gelu": "gelu_new", "gelu_erf": "gelu",
    }  # fmt: skip
    """Our names → those of `transformers`."""

    families = ("transformer",)

    family: Literal["transformer"] = "transformer"
    intermediate_size: int = Field(default=0, ge=0, le=65_536)
    """Width of the feed-forward layer; 0 takes the paper's 4 × `hidden_size`."""
    activation: Literal["relu", "gelu", "gelu_erf"] = "relu"
    """`gelu` is GPT-2's tanh form, `gelu_erf` the exact one."""
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    """The paper's sinusoids, or learned embeddings as in GPT-2."""
    layer_norm_eps: float = Field(default=1e-5, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _width(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("intermediate_size"):
            values = {**values, "intermediate_size": 4 * _as_int(values.get("hidden_size", 128))}
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
            "activation_function": self._ACTIVATIONS[self.activation],
            "layer_norm_epsilon": self.layer_norm_eps,
            "tie_word_embeddings": self.tie_embeddings,
            "embd_pdrop": self.dropout,
            "resid_pdrop": self.dropout,
            "attn_pdrop": 0.0,
            "bos_token_id": None,  # GPT-2's own would be taken otherwise
            "eos_token_id": None,
            "positions": self.positions,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TransformerConfig | None:
        if data.get("model_type") != "gpt2":
            return None
        cls._check_fixed(data)
        activations = {theirs: ours for ours, theirs in cls._ACTIVATIONS.items()}
        activations["gelu_pytorch_tanh"] = "gelu"
        activation: Any = activations.get(data.get("activation_function", "gelu_new"))
        if activation is None:
            raise RequestError(
                f"config.json: activation_function {data.get('activation_function')!r} is not one "
                f"that textwright's transformer has ({', '.join(activations)})"
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
            positions=data.get("positions", "learned"),  # as in a stock GPT-2
            dropout=data.get("resid_pdrop", 0.0),
        )

    def parameter_count(self) -> int:
        width, inner = self.hidden_size, self.intermediate_size
        block = 4 * width * width + 2 * width * inner + 4 * width + inner + width + 4 * width
        tables = self.vocab_size * width * (1 if self.tie_embeddings else 2)
        if self.positions == "learned":
            tables += self.block_size * width
        return tables + self.num_layers * block + 2 * width


def _as_int(width: Any) -> int:
    """`width` as an int; 0 if it is none, which the field's own check reports."""
    try:
        return int(width)
    except (TypeError, ValueError, OverflowError):
        return 0


CONFIG_CLASSES: list[type[ModelConfig]] = [RecurrentConfig, GPTConfig, TransformerConfig]
"""The config classes of all families; `models.register` adds one."""


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
    """The model config of a parsed `config.json`.

    Raises:
        RequestError: no family matches, or a value is missing or out of range.
    """
    for candidate in CONFIG_CLASSES:
        try:
            config = candidate.from_json(data)
        except (KeyError, ValidationError, TypeError, AttributeError) as error:
            raise RequestError(f"config.json is damaged: {one_line(error)}") from error
        if config is not None:
            return config
    raise RequestError(
        f"config.json: unknown model_type {data.get('model_type')!r}; "
        "run this model with transformers"
    )
